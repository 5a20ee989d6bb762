"""A proof is accepted once: gateway.proofs.dpop over the real replay table, through two replicas."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from gateway.proofs.dpop import DpopPolicy, DpopVerifier
from gateway.proofs.dpop_errors import DpopError, DpopFault
from gateway.proofs.dpop_proof import access_token_hash
from gateway.proofs.nonces import NonceError, NonceFault, ServerNonces
from gateway.proofs.single_use_nonces import SingleUseNonces
from gateway.proofs.target_uri import Origins
from gateway.store import open_store
from signers import Algorithm
from tests.support.dpop import NOW, TARGET, MemoryReplays, Prover, accept, accept_with_token

TARGETS = Origins.parse(["https://id.example.org", "https://other.example.org"]).targets("/oauth2/token")
POLICY = DpopPolicy(algorithms=frozenset({Algorithm.ES256}), window=60, skew=5)
RACERS = 50


@pytest.fixture
async def replays(tmp_path):
    """The replay tables of two replicas over one SQLite file."""
    url = f"sqlite:///{tmp_path}/state.db"
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(open_store(url, clock=lambda: NOW, migrate=True))
        two = await stack.enter_async_context(open_store(url, clock=lambda: NOW))
        yield [one.replay, two.replay]


def verifiers(replays):
    return [DpopVerifier(policy=POLICY, replay=replay, clock=lambda: NOW) for replay in replays]


async def outcomes(calls):
    results = await asyncio.gather(*calls, return_exceptions=True)
    return [getattr(result, "fault", None) for result in results]


async def test_of_fifty_uses_of_one_proof_exactly_one_is_accepted(replays):
    """Two replicas race over one proof: one caller gets in, and every other one is told it was a replay."""
    both = verifiers(replays)
    proof = Prover.es256().proof()
    calls = [accept(both[number % 2], proof, method="POST", targets=TARGETS) for number in range(RACERS)]
    faults = await outcomes(calls)
    assert (faults.count(None), faults.count(DpopFault.REPLAYED)) == (1, RACERS - 1)


async def test_of_fifty_uses_of_one_nonce_exactly_one_is_accepted(replays):
    """A single-use nonce, handed out by one replica, is used once over both."""
    both = [
        SingleUseNonces([bytes(32)], space="device", lifetime=300, replay=replay, clock=lambda: NOW)
        for replay in replays
    ]
    nonce = both[0].issue(subject="alice")
    faults = await outcomes([both[number % 2].use(nonce, subject="alice") for number in range(RACERS)])
    assert (faults.count(None), faults.count(NonceFault.USED)) == (1, RACERS - 1)


async def test_the_scope_is_target_key_and_jti(replays):
    """The same jti of another key or for another target is another proof; another spelling is not."""
    verifier = verifiers(replays)[0]
    alice, bob = Prover.es256(), Prover.es256()

    async def use(prover, htu=TARGET, **more):
        return await accept(
            verifier, prover.proof(jti="same", htu=htu, **more), method="POST", targets=TARGETS
        )

    await use(alice)
    await use(bob)
    await use(alice, "https://other.example.org/oauth2/token")
    with pytest.raises(DpopError) as caught:
        await use(alice, "https://ID.example.org:443/oauth2/./token?x", iat=NOW - 1)
    assert caught.value.fault is DpopFault.REPLAYED


async def test_a_refused_proof_is_not_recorded():
    """What fails any check leaves no row behind."""
    replay = MemoryReplays()
    verifier = verifiers([replay])[0]
    prover = Prover.es256()
    for bad in (
        prover.proof(htm="GET"),
        prover.proof({"jwk": Prover.es256().jwk}),
        prover.proof(iat=NOW - 99),
    ):
        with pytest.raises(DpopError):
            await accept(verifier, bad, method="POST", targets=TARGETS)
    assert replay.used == []


@pytest.mark.parametrize(
    ("claims", "last_moment"), [({}, NOW + 60), ({"iat": NOW + 5}, NOW + 65), ({"exp": NOW + 10}, NOW + 15)]
)
async def test_a_use_is_remembered_for_as_long_as_any_replica_would_accept_it(claims, last_moment):
    """The row lives until the proof is too old, and by the skew longer for a clock that is behind."""
    replay = MemoryReplays()
    verifier = verifiers([replay])[0]
    await accept(verifier, Prover.es256().proof(**claims), method="POST", targets=TARGETS)
    assert replay.used[0][2] == last_moment + POLICY.skew


async def test_a_forged_nonce_never_reaches_the_database():
    """Only a nonce that was handed out, to this subject and not long ago, is worth a write."""
    replay, now = MemoryReplays(), [NOW]
    nonces = SingleUseNonces([bytes(32)], space="device", lifetime=300, replay=replay, clock=lambda: now[0])
    nonce = nonces.issue(subject="alice")
    for forged, subject in ((nonce, "bob"), ("A" * 60, "alice"), ("", "alice"), (nonce + "A", "alice")):
        with pytest.raises(NonceError) as caught:
            await nonces.use(forged, subject=subject)
        assert caught.value.fault is NonceFault.UNKNOWN
    now[0] += 300
    with pytest.raises(NonceError) as caught:
        await nonces.use(nonce, subject="alice")
    assert (caught.value.fault, replay.used) == (NonceFault.EXPIRED, [])


async def test_a_proof_for_an_access_token_is_accepted_once_too():
    """The resource server's door records its proofs like the token endpoint's."""
    verifier = verifiers([MemoryReplays()])[0]
    prover = Prover.es256()
    proof = prover.proof(ath=access_token_hash("token"))
    request = {"method": "POST", "targets": TARGETS, "access_token": "token", "jkt": prover.jkt}
    await accept_with_token(verifier, proof, **request)
    with pytest.raises(DpopError) as caught:
        await accept_with_token(verifier, proof, **request)
    assert caught.value.fault is DpopFault.REPLAYED


async def test_one_key_makes_as_many_proofs_as_it_likes():
    """Another jti is another proof."""
    verifier = verifiers([MemoryReplays()])[0]
    prover = Prover.es256()
    for _ in range(3):
        await accept(verifier, prover.proof(), method="POST", targets=TARGETS)


async def test_a_proof_with_a_nonce_is_remembered_no_longer_than_its_nonce_lives():
    """Once the nonce is stale the proof is refused for that, so that the row may go."""
    replay = MemoryReplays()
    nonces = ServerNonces([bytes(32)], space="as", clock=lambda: NOW)
    policy = replace(POLICY, window=3600)
    verifier = DpopVerifier(policy=policy, replay=replay, clock=lambda: NOW, nonces=nonces)
    nonce = nonces.issue()
    await accept(verifier, Prover.es256().proof(nonce=nonce), method="POST", targets=TARGETS)
    assert replay.used[0][2] == nonces.check(nonce) + POLICY.skew < NOW + 3600
