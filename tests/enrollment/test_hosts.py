"""Orders for DNS names and addresses, from the account to the certificate."""

import hashlib
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.enrollment.answers import ReadyAnswer
from gateway.enrollment.domain_validation import DomainValidator
from gateway.enrollment.model import AuthorizationStatus, ChallengeStatus, ChallengeType, OrderStatus
from gateway.enrollment.orders import OrderWish
from gateway.errors import Reason, RequestError, StateError
from gateway.jose import base64url
from gateway.pki.name_policy import NamePolicy
from gateway.pki.profile import CertificateProfile, Validity
from tests.support.enrollment import SECOND, bench, identifiers, p256_key
from tests.support.wire import prover

policy_require = NamePolicy.require
HOST = "www.example.org"


class Records:
    """TXT records that a test sets by the name asked for."""

    def __init__(self) -> None:
        self.found: dict[str, bytes] = {}

    async def txt(self, name: str) -> tuple[bytes, ...]:
        return (self.found[name],) if name in self.found else ()


@pytest.fixture
async def lab(tmp_path):
    """A provisioner for everything below example.org, by dns-01 and http-01, wildcards included."""
    records = Records()
    profile = CertificateProfile(
        validity=Validity(timedelta(days=30)),
        names=NamePolicy(dns_domains=("example.org",), wildcards=True),
        extended_key_usage=(ExtendedKeyUsageOID.SERVER_AUTH.dotted_string,),
    )
    provisioner = {
        "profile": profile,
        "challenges": frozenset({ChallengeType.DNS, ChallengeType.HTTP}),
        "oidc": None,
        "dpop": None,
    }
    validator = DomainValidator(None, records)  # type: ignore[arg-type]  # Only dns-01 is answered here.
    async with bench(tmp_path, provisioner=provisioner, domains=validator) as opened:
        yield opened, records


def request_for(*names: str, common_name: str | None = None) -> bytes:
    """The DER of a request for *names*."""
    subject = [] if common_name is None else [x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    builder = builder.add_extension(
        x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
    )
    return builder.sign(p256_key(), hashes.SHA256()).public_bytes(Encoding.DER)


async def ordered(lab, *names: str):
    """An account and its order for *names*."""
    account = await lab.account(prover("ES256"))
    return account, await lab.enrollment.orders.create(account, OrderWish([("dns", name) for name in names]))


async def answer_dns(lab, records, account, order, *, right: bool = True):
    """Put the record of each authorization in place, and answer its dns-01."""
    for authorization in order.authorizations:
        (challenge,) = [each for each in authorization.challenges if each.type is ChallengeType.DNS]
        text = account.key_authorization(challenge.token) if right else "other"
        name = f"_acme-challenge.{authorization.identifier.value.removeprefix('*.')}"
        records.found[name] = base64url.encode(hashlib.sha256(text.encode()).digest()).encode()
        after = await lab.enrollment.challenges.answer(
            account, authorization.authorization_id, challenge.challenge_id, ReadyAnswer()
        )
    return after


@pytest.mark.parametrize("common_name", [None, HOST])
async def test_a_host_gets_its_certificate(lab, common_name):
    """For the names of the order, also where the request repeats one as its common name."""
    opened, records = lab
    account, order = await ordered(opened, HOST, "*.example.org")
    await answer_dns(opened, records, account, order)

    done = await opened.enrollment.issuing.finalize(
        account, order.order_id, request_for(HOST, "*.example.org", common_name=common_name)
    )

    assert done.status is OrderStatus.VALID
    issued = await opened.enrollment.issuing.certificate(account, done.certificate_id)
    leaf = x509.load_der_x509_certificate(issued.der)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert sorted(names.value.get_values_for_type(x509.DNSName)) == ["*.example.org", HOST]
    assert names.critical
    assert not list(leaf.subject)


async def test_a_wildcard_is_shown_by_dns_alone(lab):
    """No other challenge is offered for a whole domain."""
    opened, _ = lab
    _, order = await ordered(opened, "*.example.org", HOST)

    kinds = [{each.type for each in one.challenges} for one in order.authorizations]

    assert kinds == [{ChallengeType.DNS}, {ChallengeType.DNS, ChallengeType.HTTP}]


async def test_a_wrong_record_ends_the_order(lab):
    """The challenge says why."""
    opened, records = lab
    account, order = await ordered(opened, HOST)

    after = await answer_dns(opened, records, account, order, right=False)

    assert (after.challenge.status, after.challenge.error.type) == (ChallengeStatus.INVALID, "unauthorized")
    assert after.authorization.status is AuthorizationStatus.INVALID
    assert after.order.status is OrderStatus.INVALID


@pytest.mark.parametrize(
    ("names", "common_name", "fault"),
    [
        (["other.example.org"], None, "missing_san"),
        ([HOST, "other.example.org"], None, "unexpected_san"),
        ([HOST], "other.example.org", "common_name_mismatch"),
    ],
)
async def test_a_request_names_what_was_ordered(lab, names, common_name, fault):
    """No name more, none fewer."""
    opened, records = lab
    account, order = await ordered(opened, HOST)
    await answer_dns(opened, records, account, order)

    with pytest.raises(RequestError) as refused:
        await opened.enrollment.issuing.finalize(
            account, order.order_id, request_for(*names, common_name=common_name)
        )

    assert refused.value.metadata == {"fault": fault}


@pytest.mark.parametrize(
    "names", [["www.example.com"], ["www.example.org", "example.com"], ["*.example.com"]]
)
async def test_a_domain_that_is_not_permitted_is_not_ordered(lab, names):
    """The profile's names are asked first, so that no host is looked at that would get no certificate."""
    opened, _ = lab

    with pytest.raises(RequestError) as refused:
        await ordered(opened, *names)

    assert refused.value.reason is Reason.REJECTED_IDENTIFIER
    assert refused.value.metadata == {"fault": "name_refused"}


async def test_an_order_that_is_over_has_nobody_looked_at(lab, monkeypatch):
    """Once an authorization was refused, the others of the order are not validated any more."""
    opened, _ = lab
    account, order = await ordered(opened, HOST, f"more.{HOST}")
    first, second = order.authorizations
    answers = opened.enrollment.challenges
    await answers.answer(account, first.authorization_id, first.challenges[1].challenge_id, ReadyAnswer())
    monkeypatch.setattr(DomainValidator, "judge", None)

    with pytest.raises(StateError) as refused:
        await answers.answer(
            account, second.authorization_id, second.challenges[1].challenge_id, ReadyAnswer()
        )

    assert (refused.value.reason, refused.value.metadata) == (Reason.ORDER_NOT_READY, {"status": "invalid"})


async def test_a_finalize_asks_the_profile_again(lab, monkeypatch):
    """The profile of now has the last word, also where that of the order's time was wider."""
    opened, records = lab
    account, order = await ordered(opened, HOST)
    await answer_dns(opened, records, account, order)
    narrower = NamePolicy(dns_domains=("example.net",))
    monkeypatch.setattr(NamePolicy, "require", lambda _, *named: policy_require(narrower, *named))

    with pytest.raises(RequestError) as refused:
        await opened.enrollment.issuing.finalize(account, order.order_id, request_for(HOST))

    assert refused.value.metadata == {"fault": "name_refused"}


async def test_wire_identifiers_are_not_certified_here(lab):
    """A provisioner certifies what it has challenges for."""
    opened, _ = lab
    account = await opened.account(prover("ES256"))

    with pytest.raises(RequestError) as refused:
        await opened.enrollment.orders.create(account, OrderWish(identifiers(SECOND)))

    assert refused.value.reason is Reason.UNSUPPORTED_IDENTIFIER
