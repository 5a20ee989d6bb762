"""EnrollmentService over real TLS: the whole flow in one call, and each RPC beside it."""

import base64
import hmac
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from countersign import CountersignError, DeviceKey, EnrollmentRefusedError, WireDevice
from countersign.v1 import enrollment_service_pb2 as pb
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from tests.support.certificate_tools import WIRE_FINDINGS, accepted
from tests.support.enrolling_gateway import EnrollingGateway, enrolling_gateway
from tests.support.enrollment import identifiers, wire_csr
from tests.support.pki import pem
from tests.support.wire import DOMAIN, FIRST, HANDLE, NAME, SECOND, TEAM, Device, prover

PREFIX = "/countersign.v1.EnrollmentService/"
PARENT = "provisioners/wire"
DEVICE = WireDevice(SECOND, HANDLE, NAME, DOMAIN, TEAM)


@pytest.fixture
async def served(tmp_path) -> AsyncIterator[EnrollingGateway]:
    """A gateway that enrolls."""
    async with enrolling_gateway(tmp_path) as running:
        yield running


async def enroll(served, client, *, account_key=None, certificate_key=None, **changes):
    """The whole flow; *changes* are claims of the ID token."""

    async def login(challenge: pb.Challenge, keyauth: str) -> str:
        return served.id_token(challenge.url, keyauth, **changes)

    return await client.enroll_wire_device(
        "wire",
        DEVICE,
        account_key=account_key or DeviceKey.generate(),
        certificate_key=certificate_key or DeviceKey.generate(),
        login=login,
    )


async def sign(client, key, method, payload):
    """A request that *key* signs with a fresh nonce."""
    return key.signed_request(payload, url=PREFIX + method, nonce=await client.create_nonce())


async def make_account(client, key=None, **payload):
    """An account of *key*."""
    key = key or DeviceKey.generate()
    return await client.create_account(PARENT, await sign(client, key, "CreateAccount", payload))


async def reason_of(attempt) -> str:
    """The reason for which *attempt* fails."""
    with pytest.raises(CountersignError) as refused:
        await attempt
    return refused.value.reason


@pytest.mark.parametrize(
    "make",
    [
        ed25519.Ed25519PrivateKey.generate,
        lambda: ec.generate_private_key(ec.SECP256R1()),
        lambda: ec.generate_private_key(ec.SECP384R1()),
        lambda: ec.generate_private_key(ec.SECP521R1()),
    ],
    ids=["Ed25519", "P-256", "P-384", "P-521"],
)
async def test_a_device_is_enrolled_in_one_call(served, make):
    """For every kind of device key, and the chain verifies up to the root."""
    async with served.client() as client:
        certificate = await enroll(
            served, client, account_key=DeviceKey(make()), certificate_key=DeviceKey(make())
        )

    leaf, issuer = x509.load_pem_x509_certificates(certificate.chain_pem)
    leaf.verify_directly_issued_by(issuer)
    issuer.verify_directly_issued_by(served.root)
    assert leaf.public_bytes(Encoding.DER) == certificate.certificate_der
    assert f"{leaf.serial_number:040x}" == certificate.serial_number


@pytest.mark.parametrize("ca", ["file", "softhsm"])
async def test_programs_by_others_accept_what_is_issued(tmp_path, ca):
    """OpenSSL and pkilint, for both generations and every kind of key; the CA's is in a file or an HSM."""
    async with enrolling_gateway(tmp_path, ca=ca) as served, served.client() as client:
        for alg in ("EdDSA", "ES256", "ES384", "ES512"):
            certificate_key = DeviceKey(prover(alg).key)
            second = await enroll(served, client, certificate_key=certificate_key)
            first = await enroll_first(served, client, Device(prover(alg), FIRST))
            for certificate in (first, second):
                accepted(
                    tmp_path,
                    certificate.chain_pem,
                    pem(served.root),
                    purpose="sslclient",
                    findings=WIRE_FINDINGS,
                )


async def enroll_first(served, client, device: Device) -> pb.Certificate:
    """The whole flow of a device of the first generation, call by call."""
    key = DeviceKey(device.prover.key)
    account = await make_account(client, key)
    named = [pb.Identifier(type=kind, name=name) for kind, name in identifiers(device.client_id)]
    order = await client.create_order(account.name, named)
    (name,) = order.authorizations
    found = {each.type: each for each in (await client.get_authorization(name)).challenges}
    oidc, dpop = found["wire-oidc-01"], found["wire-dpop-01"]
    nonce = await client.create_client_nonce(device.client_id)
    claims = device.claims(int(datetime.now(UTC).timestamp()), nonce, dpop.token)
    token = await client.mint_client_access_token(
        device.client_id,
        device.sign(claims),
        handle=HANDLE,
        display_name=NAME,
        domain=DOMAIN,
        team=TEAM,
        nonce=nonce,
    )
    await client.answer_challenge(dpop.name, access_token=token)
    keyauth = key.key_authorization(oidc.token)
    said = {"name": device.handle, "preferred_username": NAME}
    id_token = served.id_token(oidc.url, keyauth, **said)
    await client.answer_challenge(oidc.name, id_token=id_token, key_authorization=keyauth)
    done = await client.finalize_order(order.name, wire_csr(device.prover.key, device.client_id))
    return await client.get_certificate(done.certificate)


async def test_a_user_who_is_another_is_refused(served):
    """The flow ends with what the challenge says."""
    async with served.client() as client:
        with pytest.raises(EnrollmentRefusedError) as refused:
            await enroll(served, client, name="Mallory")

    assert refused.value.type == "rejectedIdentifier"


@pytest.mark.parametrize("identity", ["other", "admin"])
async def test_an_account_belongs_to_the_caller_that_made_it(served, identity):
    """Another enroller finds none of it; an administrator is no enroller."""
    async with served.client() as client:
        account = await make_account(client)
        order = await client.create_order(account.name, DEVICE.identifiers())
    async with served.client(getattr(served, identity)) as stranger:
        reasons = {
            await reason_of(attempt)
            for attempt in (
                stranger.get_account(account.name),
                stranger.get_order(order.name),
                stranger.list_orders(account.name),
                stranger.deactivate_account(account.name),
            )
        }

    assert reasons == {"ACCOUNT_NOT_FOUND" if identity == "other" else "PERMISSION_DENIED"}


class TestSignedRequests:
    """What a device's signature must be."""

    async def test_a_key_has_one_account(self, served):
        """Asking again with the same key gives the same account."""
        key = DeviceKey.generate()
        async with served.client() as client:
            first = await make_account(client, key)
            again = await make_account(client, key)
            only = await make_account(client, key, onlyReturnExisting=True)

        assert first == again == only

    async def test_an_account_that_is_not_there_is_not_made_unasked(self, served):
        """``onlyReturnExisting`` makes none."""
        async with served.client() as client:
            assert await reason_of(make_account(client, onlyReturnExisting=True)) == "ACCOUNT_NOT_FOUND"

    async def test_a_nonce_works_once_and_for_its_caller(self, served):
        """Used, another caller's, made up: each is badNonce."""
        key = DeviceKey.generate()
        url = f"{PREFIX}CreateAccount"
        async with served.client() as client, served.client(served.other) as other:
            used = await sign(client, key, "CreateAccount", {})
            await client.create_account(PARENT, used)
            foreign = await sign(other, key, "CreateAccount", {})
            made_up = key.signed_request({}, url=url, nonce="x" * 60)
            reasons = [
                await reason_of(client.create_account(PARENT, each)) for each in (used, foreign, made_up)
            ]

        assert reasons == ["BAD_NONCE"] * 3

    @pytest.mark.parametrize("part", ["protected", "payload", "signature"])
    async def test_every_part_is_signed(self, served, part):
        """A change to any part is refused, and the nonce still works."""
        key = DeviceKey.generate()
        async with served.client() as client:
            right = await sign(client, key, "CreateAccount", {"contact": ["mailto:a@example.org"]})
            wrong = pb.SignedRequest()
            wrong.CopyFrom(right)
            text = getattr(right, part)
            setattr(wrong, part, ("B" if text[20] == "A" else "A").join([text[:20], text[21:]]))
            reason = await reason_of(client.create_account(PARENT, wrong))
            account = await client.create_account(PARENT, right)

        assert reason in {"SIGNED_REQUEST_REFUSED", "BAD_PUBLIC_KEY", "BAD_NONCE"}
        assert account.contact == ["mailto:a@example.org"]

    async def test_a_signature_is_for_one_method(self, served):
        """What was signed for another method is refused."""
        key = DeviceKey.generate()
        async with served.client() as client:
            signed = await sign(client, key, "RevokeCertificate", {})
            assert await reason_of(client.create_account(PARENT, signed)) == "SIGNED_REQUEST_REFUSED"

    async def test_a_provisioner_that_is_not_there(self, served):
        """Is said to be."""
        async with served.client() as client:
            signed = await sign(client, DeviceKey.generate(), "CreateAccount", {})
            assert await reason_of(client.create_account("provisioners/x", signed)) == "ENROLLMENT_NOT_FOUND"

    @pytest.mark.parametrize("parent", ["", "wire", "provisioners/", "provisioners/a/b", "accounts/1"])
    async def test_names_are_checked(self, served, parent):
        """A malformed name is told apart from an unknown one."""
        async with served.client() as client:
            signed = await sign(client, DeviceKey.generate(), "CreateAccount", {})
            reason = await reason_of(client.create_account(parent, signed))

        assert reason in {"INVALID_FIELD", "MISSING_FIELD"}


class TestAccounts:
    """The life of an account."""

    async def test_contacts_are_updated(self, served):
        """They replace the old ones."""
        async with served.client() as client:
            account = await make_account(client, contact=["mailto:a@example.org"])
            changed = await client.update_account(account.name, ["mailto:b@example.org"])

            assert changed.contact == ["mailto:b@example.org"]
            assert await client.get_account(account.name) == changed
            assert await reason_of(client.update_account(account.name, ["x"] * 11)) == "INVALID_FIELD"

    async def test_a_deactivated_account_does_nothing_more(self, served):
        """It can be looked at, and its key gets no other account."""
        key = DeviceKey.generate()
        async with served.client() as client:
            account = await make_account(client, key)
            order = await client.create_order(account.name, DEVICE.identifiers())
            gone = await client.deactivate_account(account.name)
            reasons = [
                await reason_of(attempt)
                for attempt in (
                    client.create_order(account.name, DEVICE.identifiers()),
                    client.get_order(order.name),
                    client.deactivate_account(account.name),
                    make_account(client, key),
                )
            ]

            assert gone.status == pb.ACCOUNT_STATUS_DEACTIVATED
            assert await client.get_account(account.name) == gone
        assert set(reasons) == {"ACCOUNT_UNUSABLE"}

    async def test_a_key_is_rolled_over(self, served):
        """The account keeps its name and has the new key; the old key is free for another account."""
        old, new = DeviceKey.generate(), DeviceKey.generate()
        async with served.client() as client:
            account = await make_account(client, old)
            payload = {"account": account.name, "oldKey": old.jwk}
            signed = await sign(client, new, "RolloverAccountKey", payload)
            changed = await client.rollover_account_key(account.name, signed)
            another = await make_account(client, old)

        assert (changed.name, changed.key_thumbprint) == (account.name, new.thumbprint)
        assert another.name != account.name

    async def test_a_roll_over_names_account_and_old_key(self, served):
        """The new key must have signed for this very account and key; a key that is taken is refused."""
        old, new, taken = (DeviceKey.generate() for _ in range(3))
        async with served.client() as client:
            account = await make_account(client, old)
            other = await make_account(client, taken)

            async def attempt(key, name, old_key):
                payload = {"account": name, "oldKey": old_key.jwk}
                signed = await sign(client, key, "RolloverAccountKey", payload)
                return await client.rollover_account_key(account.name, signed)

            assert await reason_of(attempt(new, other.name, old)) == "SIGNED_REQUEST_REFUSED"
            assert await reason_of(attempt(new, account.name, new)) == "SIGNED_REQUEST_REFUSED"
            assert await reason_of(attempt(taken, account.name, old)) == "ACCOUNT_KEY_IN_USE"


class TestOrders:
    """Orders over the wire."""

    async def test_an_order_shows_what_is_to_be_done(self, served):
        """Two authorizations with one challenge each, and where to go for the proofs."""
        async with served.client() as client:
            account = await make_account(client)
            start = datetime(2030, 1, 1, 0, 0, 0, 864222, tzinfo=UTC)
            order = await client.create_order(account.name, DEVICE.identifiers())
            reason = await reason_of(
                client.create_order(account.name, DEVICE.identifiers(), not_before=start)
            )
            found = [await client.get_authorization(name) for name in order.authorizations]

        assert order.status == pb.ORDER_STATUS_PENDING
        assert reason == "INVALID_FIELD"
        assert [[each.type for each in one.challenges] for one in found] == [
            ["wire-dpop-01"],
            ["wire-oidc-01"],
        ]
        dpop, oidc = (one.challenges[0] for one in found)
        assert dpop.target == "http://wire.com:24401/clients/84cdc209f1eaaa5e/access-token"
        assert oidc.target == "https://idp.example.org"
        assert dpop.url.startswith("https://ca.example.org/acme/wire/challenge/")
        assert len(base64.urlsafe_b64decode(dpop.token)) >= 16

    async def test_orders_are_listed_page_by_page(self, served):
        """All of them, once, in a stable order."""
        async with served.client() as client:
            account = await make_account(client)
            made = {(await client.create_order(account.name, DEVICE.identifiers())).name for _ in range(3)}
            first, token = await client.list_orders(account.name, page_size=2)
            rest, end = await client.list_orders(account.name, page_size=2, page_token=token)

        assert {*first, *rest} == made
        assert (len(first), len(rest), end) == (2, 1, "")

    async def test_an_authorization_is_given_up(self, served):
        """Its order is over then."""
        async with served.client() as client:
            account = await make_account(client)
            order = await client.create_order(account.name, DEVICE.identifiers())
            gone = await client.deactivate_authorization(order.authorizations[0])
            after = await client.get_order(order.name)
            reason = await reason_of(client.finalize_order(order.name, b""))

        assert gone.status == pb.AUTHORIZATION_STATUS_DEACTIVATED
        assert (after.status, reason) == (pb.ORDER_STATUS_INVALID, "ORDER_NOT_READY")

    @pytest.mark.parametrize(
        ("kind", "reason"), [("dns", "UNSUPPORTED_IDENTIFIER"), ("x", "UNSUPPORTED_IDENTIFIER")]
    )
    async def test_a_provisioner_certifies_its_types_only(self, served, kind, reason):
        """A wire provisioner certifies no host."""
        async with served.client() as client:
            account = await make_account(client)
            identifier = pb.Identifier(type=kind, name="example.org")

            assert await reason_of(client.create_order(account.name, [identifier])) == reason


class TestAfterIssuing:
    """Revocation, lists, OCSP, renewal."""

    async def test_an_account_revokes(self, served):
        """Once, with a reason; the certificate, the list and OCSP show it."""
        async with served.client() as client:
            certificate = await enroll(served, client)
            account = certificate.name.partition("/certificates/")[0]
            der = certificate.certificate_der
            issuer = x509.load_pem_x509_certificates(certificate.chain_pem)[1]
            leaf = x509.load_der_x509_certificate(der)
            question = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, hashes.SHA256()).build()
            before = ocsp.load_der_ocsp_response(
                await client.get_ocsp_response(question.public_bytes(Encoding.DER))
            )
            await client.revoke_certificate(
                account=account, certificate_der=der, reason=pb.REVOCATION_REASON_SUPERSEDED
            )
            again = await reason_of(client.revoke_certificate(account=account, certificate_der=der))
            after = ocsp.load_der_ocsp_response(
                await client.get_ocsp_response(question.public_bytes(Encoding.DER))
            )
            shown = await client.get_certificate(certificate.name)
            listed = await client.get_certificate_revocation_list(PARENT)
            named = await client.get_certificate_revocation_list(
                PARENT,
                issuer_key_identifier=x509.SubjectKeyIdentifier.from_public_key(issuer.public_key()).digest,
            )
            nobodys = await reason_of(
                client.get_certificate_revocation_list(PARENT, issuer_key_identifier=bytes(20))
            )
            window = await client.get_renewal_info(certificate.renewal_identifier)

        assert before.certificate_status is ocsp.OCSPCertStatus.GOOD
        assert after.certificate_status is ocsp.OCSPCertStatus.REVOKED
        assert after.revocation_reason is x509.ReasonFlags.superseded
        assert shown.revoke_reason == pb.REVOCATION_REASON_SUPERSEDED
        crl = x509.load_der_x509_crl(listed.crl_der)
        assert crl.is_signature_valid(issuer.public_key())
        assert crl.get_revoked_certificate_by_serial_number(leaf.serial_number) is not None
        assert listed.number == 1
        assert named == listed
        assert nobodys == "ENROLLMENT_NOT_FOUND"
        assert again == "ALREADY_REVOKED"
        assert window.window_end.seconds <= datetime.now(UTC).timestamp()

    async def test_whoever_has_the_key_revokes(self, served):
        """By a request that the certificate's key signed; another key's is refused."""
        key = DeviceKey.generate()
        async with served.client() as client:
            certificate = await enroll(served, client, certificate_key=key)
            encoded = base64.urlsafe_b64encode(certificate.certificate_der).rstrip(b"=").decode()
            payload = {"certificate": encoded, "reason": 1}
            stranger = await sign(client, DeviceKey.generate(), "RevokeCertificate", payload)
            refused = await reason_of(client.revoke_certificate(signed_request=stranger))
            bad = await sign(client, key, "RevokeCertificate", payload | {"reason": 7})
            bad_reason = await reason_of(client.revoke_certificate(signed_request=bad))
            await client.revoke_certificate(
                signed_request=await sign(client, key, "RevokeCertificate", payload)
            )
            shown = await client.get_certificate(certificate.name)

        assert (refused, bad_reason) == ("ACCOUNT_UNUSABLE", "BAD_REVOCATION_REASON")
        assert shown.revoke_reason == pb.REVOCATION_REASON_KEY_COMPROMISE

    async def test_another_account_does_not_revoke(self, served):
        """Nor does anybody a certificate that is not ours."""
        async with served.client() as client:
            certificate = await enroll(served, client)
            other = await make_account(client)
            foreign = await reason_of(
                client.revoke_certificate(account=other.name, certificate_der=certificate.certificate_der)
            )
            unknown = await reason_of(
                client.revoke_certificate(
                    account=other.name, certificate_der=served.root.public_bytes(Encoding.DER)
                )
            )
            garbage = await reason_of(client.revoke_certificate(account=other.name, certificate_der=b"x"))

        assert (foreign, unknown, garbage) == ("ACCOUNT_UNUSABLE", "ENROLLMENT_NOT_FOUND", "INVALID_FIELD")

    async def test_ocsp_tells_its_own_failures(self, served):
        """Garbage is malformed, another CA's certificate is unauthorized, an unknown one is unknown."""
        async with served.client() as client:
            certificate = await enroll(served, client)
            leaf, issuer = x509.load_pem_x509_certificates(certificate.chain_pem)

            async def ask(subject, by):
                request = ocsp.OCSPRequestBuilder().add_certificate(subject, by, hashes.SHA256()).build()
                return ocsp.load_der_ocsp_response(
                    await client.get_ocsp_response(request.public_bytes(Encoding.DER))
                )

            garbage = ocsp.load_der_ocsp_response(await client.get_ocsp_response(b"x"))
            foreign = await ask(leaf, served.root)
            ours = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, hashes.SHA256()).build()
            stranger = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
                ours.issuer_name_hash, ours.issuer_key_hash, leaf.serial_number + 1, hashes.SHA256()
            )
            unknown = ocsp.load_der_ocsp_response(
                await client.get_ocsp_response(stranger.build().public_bytes(Encoding.DER))
            )

        assert garbage.response_status is ocsp.OCSPResponseStatus.MALFORMED_REQUEST
        assert foreign.response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED
        assert unknown.certificate_status is ocsp.OCSPCertStatus.UNKNOWN

    async def test_renewal_is_suggested_late_in_life(self, served):
        """Between two thirds and five sixths; an order may say what it replaces, and one does."""
        async with served.client() as client:
            certificate = await enroll(served, client)
            info = await client.get_renewal_info(certificate.renewal_identifier)
            account = certificate.name.partition("/certificates/")[0]
            order = await client.create_order(
                account, DEVICE.identifiers(), replaces=certificate.renewal_identifier
            )
            again = await reason_of(
                client.create_order(account, DEVICE.identifiers(), replaces=certificate.renewal_identifier)
            )
            other = await make_account(client)
            foreign = await reason_of(
                client.create_order(other.name, DEVICE.identifiers(), replaces=certificate.renewal_identifier)
            )
            malformed = await reason_of(client.get_renewal_info("x.y"))

        start, end = info.window_start.seconds, info.window_end.seconds
        assert certificate.not_before.seconds < start < end < certificate.not_after.seconds
        assert order.status == pb.ORDER_STATUS_PENDING
        assert (foreign, malformed) == ("ENROLLMENT_NOT_FOUND", "INVALID_FIELD")
        assert again == "ALREADY_REPLACED"


async def test_external_account_binding(tmp_path):
    """Where it is asked for, an account needs a key that an administrator gave out, and each binds one."""
    async with (
        enrolling_gateway(tmp_path, provisioner={"external_account_required": True}) as served,
        served.client(served.admin) as admin,
        served.client() as client,
    ):
        made = await admin.create_external_account_key(
            PARENT, lifetime=timedelta(hours=1), reference="employee 7"
        )

        def binding(key: DeviceKey, secret: bytes = made.secret) -> dict[str, str]:
            header = {"alg": "HS256", "kid": made.key.key_id, "url": f"{PREFIX}CreateAccount"}
            protected, payload = (
                base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=").decode()
                for each in (header, key.jwk)
            )
            tag = hmac.digest(secret, f"{protected}.{payload}".encode(), "sha256")
            signature = base64.urlsafe_b64encode(tag).rstrip(b"=").decode()
            return {"protected": protected, "payload": payload, "signature": signature}

        key, other = DeviceKey.generate(), DeviceKey.generate()
        reasons = [
            await reason_of(make_account(client, key)),
            await reason_of(make_account(client, key, externalAccountBinding=binding(other))),
            await reason_of(make_account(client, key, externalAccountBinding=binding(key, bytes(32)))),
        ]
        account = await make_account(client, key, externalAccountBinding=binding(key))
        reasons.append(await reason_of(make_account(client, other, externalAccountBinding=binding(other))))
        (listed,), _ = await admin.list_external_account_keys(PARENT)
        await admin.delete_external_account_key(listed.name)
        gone = await reason_of(admin.delete_external_account_key(listed.name))
        denied = await reason_of(client.list_external_account_keys(PARENT))

    assert set(reasons) == {"EXTERNAL_ACCOUNT_REQUIRED"}
    assert account.external_account_key == made.key.key_id
    assert (listed.account, listed.reference) == (account.name, "employee 7")
    assert (gone, denied) == ("ENROLLMENT_NOT_FOUND", "PERMISSION_DENIED")


async def test_provisioners_are_listed(served):
    """With what a client must know to use them."""
    async with served.client() as client:
        (found,) = await client.list_provisioners()

    assert (found.name, found.challenges) == (PARENT, ["wire-dpop-01", "wire-oidc-01"])


async def test_a_refused_proof_names_its_rule(served):
    """The fault is in the metadata of the error."""
    async with served.client() as client:
        with pytest.raises(CountersignError) as refused:
            await client.mint_client_access_token(
                SECOND, "e30.e30.e30", handle=HANDLE, display_name=NAME, domain=DOMAIN
            )

    assert refused.value.reason == "CLIENT_PROOF_REFUSED"
    assert refused.value.metadata["fault"] == "missing-dpop-header"
