"""Cases against real servers, for a moment each: requests are accepted, and replies are checked."""

import time

import pytest

from bench import cases, oidc_provider, run
from bench.facts import NO_FACTS, Facts, ReplyError
from bench.generators import Load
from bench.http_messages import check_token
from bench.proofs import Proofs
from bench.report import Plan
from bench.session import measure
from gateway.proofs.dpop import DpopPolicy, DpopVerifier
from gateway.proofs.target_uri import TargetUri
from signers import Algorithm
from tests.support.dpop import TARGET, MemoryReplays

QUICK = Load(generators=1, channels=1, calls_per_channel=2, warm_up=0.05, seconds=0.3)
SHORT = (
    "mint_file_es256",
    "mint_dpop_file_es256",
    "client_credentials",
    "client_credentials_oidc_provider",
    "revoke_to_stream",
)


async def test_the_edge_beside_oidc_provider():
    """Both servers answer the same generator with tokens that verify, and the ratio is there."""
    chosen = [case for case in cases.CASES if case.name in SHORT]
    results = await measure(Plan(chosen, QUICK, rounds=1, workers=1, access_log=True))
    assert set(results["cases"]) == set(SHORT)
    assert all(case["calls_per_second"] > 0 for case in results["cases"].values())
    assert results["ratios"]["client_credentials_vs_oidc_provider"] > 0
    assert results["targets"]["client_credentials_vs_oidc_provider"] == 1.5


async def test_each_proof_is_good_and_new():
    """Proofs made ahead, and those made when these are used up, are accepted by the verifier, each once."""
    proofs = Proofs(TARGET)
    proofs.prepare(0.001)
    policy = DpopPolicy(algorithms=frozenset({Algorithm.ES256}), window=60, skew=5)
    verifier = DpopVerifier(policy=policy, replay=MemoryReplays(), clock=time.time)
    targets = {TargetUri.parse(TARGET)}
    accepted = [verifier.check(proofs.take(), method="POST", targets=targets) for _ in range(5)]
    for each in accepted:
        await verifier.use(each)
    assert len({each.jti for each in accepted}) == 5
    assert len({each.jkt for each in accepted}) == 1


@pytest.mark.parametrize(
    "reply",
    [b"", b"{}", b'{"access_token":"x","token_type":"DPoP"}', b'{"access_token":"x","token_type":"Bearer"}'],
)
def test_a_reply_that_is_no_token(reply):
    """A reply with status 200 that holds no verifiable bearer token fails the run."""
    with pytest.raises(ReplyError):
        check_token(reply, Facts((), {}))


def test_a_revocation_without_an_id():
    """A call that ended without its revocation fails the run."""
    (case,) = [each for each in cases.CASES if each.name == "revoke_to_stream"]
    with pytest.raises(ReplyError):
        case.check(b"", NO_FACTS)


def test_without_node_the_comparison_is_left_out_loudly(monkeypatch, capsys):
    """The other cases run, and standard error says what is missing and why."""
    monkeypatch.setattr(oidc_provider.shutil, "which", lambda _: None)
    chosen = run._choose(["client_credentials", "client_credentials_oidc_provider"])
    assert [case.name for case in chosen] == ["client_credentials"]
    assert "WITHOUT THE COMPARISON with npm oidc-provider: node is not installed." in capsys.readouterr().err
