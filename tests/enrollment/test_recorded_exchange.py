"""The walk-through of the first generation, replayed with the clock at its time, and broken by fields."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from gateway.enrollment import wire_dpop
from gateway.enrollment.accounts import AccountWish
from gateway.enrollment.answers import parse_answer
from gateway.enrollment.identifiers import names_of, parse_identifiers
from gateway.enrollment.model import Challenge, ChallengeStatus, ChallengeType, OrderStatus
from gateway.enrollment.orders import OrderWish
from gateway.enrollment.provisioners import WireDpop, WireOidc
from gateway.enrollment.signed_requests import FlattenedJws, parse_signed_request
from gateway.enrollment.targets import TargetTemplate
from gateway.enrollment.wire_names import Generation
from gateway.errors import RequestError
from gateway.jose import Jwk
from gateway.oidc.id_token import TokenRules
from gateway.oidc.mapping import WIREAPP_ID
from gateway.pki.profile import Validity
from gateway.pki.wire import PROVISIONER_OID, wire_profile
from signers import Algorithm
from tests.support.dpop import OMIT
from tests.support.enrollment import Clock, StaticProvider, bench
from tests.support.orders import account
from tests.support.wire import FIRST, TARGET, Device, parts, prover, prover_of

ACCOUNT, ORDER, AUTHORIZATION, DPOP, OIDC, READY, FINALIZE, CERTIFICATE = range(8)
RULES = TokenRules("http://dex:22930/dex", "wireapp", frozenset(), 0, None)


def payload(request: dict[str, str]) -> dict[str, Any]:
    """The JSON that a recorded request carries."""
    text = request["payload"]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def parsed(request: dict[str, str]):
    """A recorded request as a signed request."""
    return parse_signed_request(FlattenedJws(request["protected"], request["payload"], request["signature"]))


def key_of(recorded) -> Jwk:
    """The account's key."""
    return parsed(recorded["requests"][ACCOUNT]).require_jwk()


def instant(text: str) -> datetime:
    """An RFC 3339 time."""
    return datetime.fromisoformat(text).astimezone(UTC)


def require_signed(recorded, request: dict[str, str]) -> None:
    """*request* is signed by the account for its URL."""
    signed = parsed(request)
    signed.require_url(request["url"])
    signed.require_signature(key_of(recorded))


@pytest.mark.parametrize("number", range(8))
def test_every_request_is_signed_by_the_account(recorded, number):
    """Each of the eight names its URL and verifies under the account's key."""
    request = recorded["requests"][number]

    require_signed(recorded, request)
    signed = parsed(request)
    assert (signed.jwk is None) == (number != ACCOUNT)


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("part", ["protected", "payload", "signature", "url"])
def test_every_part_of_a_request_counts(recorded, number, part):
    """A request that differs in one part is refused."""
    request = dict(recorded["requests"][number])
    if part == "payload" and not request["payload"]:
        request["payload"] = "e30"
    elif part == "url":
        request["url"] += "/"
    else:
        text = request[part]
        request[part] = text[:-6] + ("A" if text[-6] != "A" else "B") + text[-5:]

    with pytest.raises(RequestError):
        require_signed(recorded, request)


async def test_the_whole_exchange(recorded, tmp_path, monkeypatch):
    """Account, order, both answers and the request lead to the recorded certificate, but for its issuer."""
    requests, responses = recorded["requests"], recorded["responses"]
    authorization, dpop = requests[DPOP]["url"].split("/")[-2:]
    oidc = requests[OIDC]["url"].split("/")[-1]
    token = responses[2]["challenges"][0]["token"]
    made = iter([token, authorization, oidc, dpop, requests[READY]["url"].split("/")[-1]])
    monkeypatch.setattr("gateway.enrollment.orders.new_id", lambda: next(made))
    idp = load_pem_public_key(recorded["idp_public_key"].encode())
    minter = load_pem_public_key(_public(recorded["minter_key"]))
    clock = Clock(recorded["now"])
    provisioner = {
        "url": recorded["base"],
        "profile": wire_profile("wire", validity=Validity(timedelta(days=90), maximum=timedelta(days=3660))),
        "oidc": WireOidc(
            StaticProvider(clock, Jwk(idp), RULES),
            "http://dex:22930/dex",
            {Generation.FIRST: WIREAPP_ID},
        ),
        "dpop": WireDpop(TargetTemplate.parse(TARGET), lambda: [(Algorithm.EDDSA, minter)]),
    }
    async with bench(tmp_path, provisioner=provisioner, start=recorded["now"]) as lab:
        enrollment = lab.enrollment
        wish = AccountWish.parse(parsed(requests[ACCOUNT]).payload)
        owner, _ = await enrollment.accounts.create("wire", "", key_of(recorded), wish, url="")
        wanted = payload(requests[ORDER])
        order = await enrollment.orders.create(
            owner,
            OrderWish(
                [(each["type"], each["value"]) for each in wanted["identifiers"]],
                instant(wanted["notBefore"]),
                instant(wanted["notAfter"]),
            ),
        )
        for number, challenge in ((DPOP, dpop), (OIDC, oidc)):
            answer = parse_answer(parsed(requests[number]).payload)
            after = await enrollment.challenges.answer(owner, authorization, challenge, answer)
            assert after.challenge.status is ChallengeStatus.VALID, after.challenge.error
        csr = payload(requests[FINALIZE])["csr"]
        der = base64.urlsafe_b64decode(csr + "=" * (-len(csr) % 4))

        done = await enrollment.issuing.finalize(owner, order.order_id, der)

        assert done.status is OrderStatus.VALID
        issued = await enrollment.issuing.certificate(owner, done.certificate_id)
    ours = x509.load_der_x509_certificate(issued.der)
    theirs = x509.load_pem_x509_certificates(recorded["chain"].encode())[0]
    assert ours.subject.rfc4514_string() == theirs.subject.rfc4514_string()
    assert ours.not_valid_before_utc == theirs.not_valid_before_utc
    assert ours.not_valid_after_utc == theirs.not_valid_after_utc
    assert ours.public_key() == theirs.public_key()
    assert [each.oid for each in ours.extensions] == [each.oid for each in theirs.extensions]
    for one, other in zip(ours.extensions, theirs.extensions, strict=True):
        assert one.critical == other.critical
        if not isinstance(one.value, x509.AuthorityKeyIdentifier):
            assert one.value == other.value
    assert ours.extensions.get_extension_for_oid(x509.ObjectIdentifier(PROVISIONER_OID))


def _public(private_pem: str) -> bytes:
    key = prover_of(private_pem).key.public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class TestAccessToken:
    """The recorded access token, and each of its fields broken under the recorded keys."""

    def judged(self, recorded, token: str, **changes: Any):
        """What is wrong with *token*, None where nothing is; *changes* are parts of the answer."""
        wanted = payload(recorded["requests"][ORDER])
        pairs = [(each["type"], each["value"]) for each in wanted["identifiers"]]
        values = {
            "token": token,
            "challenge": Challenge("c", ChallengeType.WIRE_DPOP, "fMw6wdUZL0KgBzxFRsAXLLIQD2Ywv0MQ"),
            "url": recorded["requests"][DPOP]["url"],
            "identity": names_of(parse_identifiers(pairs)).wire,
            "account": account(key=key_of(recorded)),
        }
        minter = load_pem_public_key(_public(recorded["minter_key"]))
        dpop = WireDpop(TargetTemplate.parse(TARGET), lambda: [(Algorithm.EDDSA, minter)])
        verdict, uses = wire_dpop.judge(
            wire_dpop.DpopAnswer(**(values | changes)), dpop, float(recorded["now"])
        )
        assert len(uses) == (2 if verdict.error is None else 0)
        return None if verdict.error is None else verdict.error.detail

    def test_it_is_good(self, recorded):
        """As recorded, it shows the device."""
        assert self.judged(recorded, recorded["access_token"]) is None

    @pytest.mark.parametrize(
        ("header", "claims"),
        [
            ({"typ": "JWT"}, {}),
            ({"typ": OMIT}, {}),
            ({"jwk": OMIT}, {}),
            ({"jwk": prover().jwk}, {}),
            ({"kid": "other"}, {}),
            ({"crit": ["x"]}, {}),
            ({}, {"iss": "http://wire.com:24401/clients/1/access-token"}),
            ({}, {"aud": "https://other.example.org"}),
            ({}, {"aud": ["http://wire.com:24401/clients/84cdc209f1eaaa5e/access-token"]}),
            ({}, {"sub": FIRST.replace("84cd", "84ce")}),
            ({}, {"client_id": FIRST.replace("84cd", "84ce")}),
            ({}, {"client_id": OMIT}),
            ({}, {"chal": "other"}),
            ({}, {"chal": OMIT}),
            ({}, {"nonce": "other"}),
            ({}, {"nonce": OMIT}),
            ({}, {"cnf": {"kid": "other"}}),
            ({}, {"cnf": {}}),
            ({}, {"scope": "other"}),
            ({}, {"scope": OMIT}),
            ({}, {"api_version": 4}),
            ({}, {"api_version": "5"}),
            ({}, {"api_version": OMIT}),
            ({}, {"exp": 1700749092 - 61}),
            ({}, {"exp": 1700749092 + 3661}),
            ({}, {"exp": OMIT}),
            ({}, {"iat": 1700749092 + 61}),
            ({}, {"iat": OMIT}),
            ({}, {"nbf": 1700749092 + 61}),
            ({}, {"nbf": OMIT}),
            ({}, {"jti": OMIT}),
            ({}, {"proof": "x"}),
            ({}, {"proof": OMIT}),
        ],
        ids=lambda change: "-".join(change) or "_",
    )
    def test_each_field_counts(self, recorded, header, claims):
        """Signed anew by the recorded minter with one field changed, it is refused."""
        recorded_header, recorded_claims = parts(recorded["access_token"])
        minter = Device(prover_of(recorded["minter_key"]), FIRST)

        token = minter.sign(recorded_claims | claims, recorded_header | header)

        assert self.judged(recorded, token)

    @pytest.mark.parametrize(
        "claims",
        [
            {"chal": "other"},
            {"handle": "im:wireapp=%40bob@wire.com"},
            {"htm": "GET"},
            {"htu": "http://wire.com:24401/clients/1/access-token"},
            {"sub": FIRST.replace("84cd", "84ce")},
            {"nonce": "other"},
            {"exp": 1700749092 - 60},
            {"exp": OMIT},
            {"iat": 1700749092 + 61},
            {"nbf": 1700749092 + 61},
            {"jti": OMIT},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_each_field_of_the_proof_counts(self, recorded, claims):
        """A proof that the recorded device signed anew with one field changed is refused in a good token."""
        proof = base64.urlsafe_b64decode(recorded["dpop_header"] + "==").decode()
        header, proven = parts(proof)
        device = Device(prover_of(recorded["client_key"]), FIRST)
        token_header, token_claims = parts(recorded["access_token"])
        minter = Device(prover_of(recorded["minter_key"]), FIRST)

        token = minter.sign(token_claims | {"proof": device.sign(proven | claims, header)}, token_header)

        assert self.judged(recorded, token)

    def test_the_account_is_the_devices(self, recorded):
        """Another account cannot use the token."""
        assert self.judged(recorded, recorded["access_token"], account=account())

    def test_the_challenge_is_the_proofs(self, recorded):
        """Another challenge cannot be answered with it."""
        other = Challenge("c", ChallengeType.WIRE_DPOP, "x" * 32)

        assert self.judged(recorded, recorded["access_token"], challenge=other)

    def test_a_proof_of_another_key_is_refused(self, recorded):
        """The key of the proof is the account's, whatever the token says."""
        proof = base64.urlsafe_b64decode(recorded["dpop_header"] + "==").decode()
        _, proven = parts(proof)
        token_header, token_claims = parts(recorded["access_token"])
        minter = Device(prover_of(recorded["minter_key"]), FIRST)

        token = minter.sign(token_claims | {"proof": Device(prover(), FIRST).sign(proven)}, token_header)

        assert "jwk" in self.judged(recorded, token)
