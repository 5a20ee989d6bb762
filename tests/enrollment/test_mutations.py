"""What is right but for one change, wherever that is: a request, a proof, a token and a CSR are refused."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.enrollment import wire_dpop
from gateway.enrollment.client_access_token import LIFETIME
from gateway.enrollment.device_proof import ExpectedDevice, ProofError, ProofLimits, check_device_proof
from gateway.enrollment.identifiers import names_of
from gateway.enrollment.model import ChallengeType
from gateway.enrollment.signed_requests import FlattenedJws, parse_signed_request
from gateway.enrollment.targets import TargetTemplate
from gateway.enrollment.wire_dpop import DpopAnswer
from gateway.enrollment.wire_names import ClientUri
from gateway.errors import RequestError
from gateway.pki.csr import CertificateRequest
from gateway.pki.issuance_errors import RequestError as CsrRefusedError
from tests.support.enrollment import NOW, bench, p256_key, wire_csr
from tests.support.wire import NAME, SECOND, TARGET, Device, prover

BOUNDED = settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
DEVICE = Device(prover("ES256"))
REQUEST = wire_csr(p256_key())
PROOF = DEVICE.sign(DEVICE.claims(int(NOW), "nonce", "challenge"))
EXPECTED = ExpectedDevice(
    ClientUri.parse(SECOND), DEVICE.handle, TargetTemplate.parse(TARGET).of(ClientUri.parse(SECOND)), NAME
)
LIMITS = ProofLimits(NOW, LIFETIME, 10)


@st.composite
def changed(draw, right: bytes, alphabet: bytes | None = None) -> bytes:
    """*right* with one octet replaced, added or removed, or its end cut off."""
    place = draw(st.integers(0, len(right) - 1))
    octets = st.integers(0, 255) if alphabet is None else st.sampled_from(alphabet)
    octet = bytes([draw(octets.filter(lambda value: value != right[place]))])
    how = draw(st.sampled_from(["replace", "insert", "remove", "cut"]))
    after = {
        "replace": octet + right[place + 1 :],
        "insert": octet + right[place:],
        "remove": right[place + 1 :],
        "cut": b"",
    }[how]
    return right[:place] + after


BASE64URL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ "


def test_what_is_right_is_accepted():
    """So that the refusals below are the changes' doing."""
    assert check_device_proof(PROOF, EXPECTED, LIMITS).jkt == DEVICE.prover.jkt
    assert CertificateRequest.parse(REQUEST).names.uri


@BOUNDED
@given(changed(REQUEST))
def test_a_changed_certification_request(der):
    """Its signature covers every octet, and each has one encoding."""
    with pytest.raises(CsrRefusedError):
        CertificateRequest.parse(der)


@BOUNDED
@given(changed(PROOF.encode(), BASE64URL))
def test_a_changed_proof(compact):
    """No change leaves a proof that is accepted."""
    with pytest.raises(ProofError):
        check_device_proof(compact.decode("latin-1"), EXPECTED, LIMITS)


@BOUNDED
@given(st.data())
def test_a_changed_signed_request(data):
    """It is refused when it is parsed, or by its signature."""
    key = DEVICE.prover
    header = b'{"alg":"ES256","url":"https://ca.example.org/x","nonce":"n","jwk":%s}' % _json(key.jwk)
    right = dict(
        zip(("protected", "payload", "signature"), key.signed(header, b'{"a":1}').split("."), strict=True)
    )
    name = data.draw(st.sampled_from(sorted(right)))
    wrong = data.draw(changed(right[name].encode(), BASE64URL)).decode("latin-1")

    with pytest.raises(RequestError):
        require_signed(FlattenedJws(**(right | {name: wrong})))


def require_signed(flattened: FlattenedJws) -> None:
    """The key within the request signed it."""
    parsed = parse_signed_request(flattened)
    parsed.require_signature(parsed.require_jwk())


async def test_a_changed_access_token(tmp_path):
    """The CA's verdict on every one of them is a refusal, and nothing is used up."""
    async with bench(tmp_path) as lab:
        account = await lab.account(DEVICE.prover)
        order = await lab.order(account)
        token = await lab.access_token(order, DEVICE)
        authorization, challenge_id, _, url = lab.challenge(order, ChallengeType.WIRE_DPOP)
        (challenge,) = order.authorization(authorization).challenges
        identity = names_of(order.identifiers).wire

        def judge(text: str):
            answer = DpopAnswer(text, challenge, url, identity, account)
            return wire_dpop.judge(answer, lab.provisioner.dpop, lab.clock())

        @BOUNDED
        @given(changed(token.encode(), BASE64URL))
        def refused(wrong):
            verdict, uses = judge(wrong.decode("latin-1"))
            assert verdict.error is not None
            assert uses == ()

        assert challenge.challenge_id == challenge_id
        assert judge(token)[0].error is None
        refused()


def _json(jwk) -> bytes:
    members = ",".join(f'"{name}":"{value}"' for name, value in jwk.items())
    return f"{{{members}}}".encode()
