"""A whole enrollment of each generation, and what becomes of it when a part is wrong or breaks."""

import asyncio
from dataclasses import replace
from datetime import datetime

import pytest
from cryptography import x509

from gateway.enrollment.answers import AccessTokenAnswer
from gateway.enrollment.minter import ClientTokenRequest
from gateway.enrollment.model import AuthorizationStatus, ChallengeStatus, ChallengeType, OrderStatus
from gateway.errors import (
    AuthorizationError,
    AvailabilityError,
    GatewayError,
    Reason,
    RequestError,
    StateError,
)
from gateway.jose import base64url
from gateway.jose.jwk import parse_jwk
from gateway.oidc.errors import OidcFault, ProviderError
from gateway.pki.csr import CertificateRequest
from gateway.pki.issuance_errors import RequestError as CsrRefusedError
from gateway.pki.issuance_errors import RequestFault
from gateway.pki.wire import PROVISIONER_OID
from signers import Algorithm, SignerUnavailableError
from tests.support.enrollment import NOW, bench, p256_key, wire_csr
from tests.support.wire import DEVICE, DOMAIN, FIRST, HANDLE, NAME, SECOND, Device, prover


@pytest.fixture
async def lab(tmp_path):
    """Enrollment over SQLite with a P-256 CA."""
    async with bench(tmp_path) as opened:
        yield opened


def twin(token: str) -> str:
    """*token* with the other ES256 signature of the same message that verifies: with n - s for s."""
    signed, _, signature = token.rpartition(".")
    octets = base64url.decode(signature)
    s = _P256_ORDER - int.from_bytes(octets[32:], "big")
    return f"{signed}.{base64url.encode(octets[:32] + s.to_bytes(32, 'big'))}"


# SOURCE: SEC 2 §2.4.2, the order n of secp256r1.
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def key_for(device: Device):
    """The private key of the request: the account's in the first generation, another in the second."""
    return device.prover.key if device.first else p256_key()


@pytest.mark.parametrize("client_id", [FIRST, SECOND], ids=["first", "second"])
@pytest.mark.parametrize("alg", ["EdDSA", "ES256", "ES384", "ES512"])
async def test_a_whole_enrollment(lab, alg, client_id):
    """From an account to a chain that verifies, for each generation and each kind of device key."""
    device = Device(prover(alg), client_id)
    account = await lab.account(device.prover)
    ready = await lab.ready(account, device)
    assert ready.status is OrderStatus.READY
    key = key_for(device)

    done = await lab.enrollment.issuing.finalize(account, ready.order_id, wire_csr(key, client_id))

    assert done.status is OrderStatus.VALID
    issued = await lab.enrollment.issuing.certificate(account, done.certificate_id)
    leaf = x509.load_der_x509_certificate(issued.der)
    (issuer,) = x509.load_pem_x509_certificates(issued.issuer_pem)
    leaf.verify_directly_issued_by(issuer)
    issuer.verify_directly_issued_by(lab.root)
    assert leaf.public_key() == key.public_key()
    assert leaf.subject.rfc4514_string() == f"CN={NAME},O={DOMAIN}"
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [each.value for each in names] == [device.handle, client_id]
    extension = leaf.extensions.get_extension_for_oid(x509.ObjectIdentifier(PROVISIONER_OID))
    assert extension.value.value.hex() == "300b020106040477697265" + "0400"
    assert leaf.serial_number == issued.serial


@pytest.mark.parametrize("algorithm", [Algorithm.EDDSA, Algorithm.ES384, Algorithm.RS256])
async def test_the_issuing_key_may_be_of_any_kind(tmp_path, algorithm):
    """Ed25519, another curve, or RSA."""
    async with bench(tmp_path, algorithm=algorithm) as lab:
        device = Device(prover("ES256"))
        account = await lab.account(device.prover)
        ready = await lab.ready(account, device)

        done = await lab.enrollment.issuing.finalize(account, ready.order_id, wire_csr(p256_key()))

        issued = await lab.enrollment.issuing.certificate(account, done.certificate_id)
        issuer = x509.load_pem_x509_certificates(issued.issuer_pem)[0]
        x509.load_der_x509_certificate(issued.der).verify_directly_issued_by(issuer)


class TestEvidence:
    """Challenges: what is refused, and what that does to the order."""

    async def begun(self, lab, client_id=SECOND):
        """A device, its account and its order."""
        device = Device(prover("ES256"), client_id)
        account = await lab.account(device.prover)
        return device, account, await lab.order(account, client_id)

    async def test_one_challenge_of_the_first_generation_is_not_enough(self, lab):
        """Neither proof alone makes the order ready, in either order."""
        device, account, order = await self.begun(lab, FIRST)

        after = await lab.answer_dpop(account, order, await lab.access_token(order, device))

        assert after.challenge.status is ChallengeStatus.VALID
        assert after.authorization.status is AuthorizationStatus.PENDING
        with pytest.raises(StateError) as refused:
            await lab.enrollment.issuing.finalize(account, order.order_id, wire_csr(device.prover.key, FIRST))
        assert refused.value.metadata == {"status": "pending"}

    @pytest.mark.parametrize(
        "changes",
        [
            {"iss": "https://other.example.org"},
            {"aud": "other"},
            {"exp": int(NOW) - 60},
            {"nbf": int(NOW) + 60},
            {"name": "Mallory"},
            {"preferred_username": f"mallory@{DOMAIN}"},
            {"preferred_username": ""},
            {"keyauth": "other"},
            {"acme_aud": "https://ca.example.org/acme/wire/challenge/a/b"},
            {"name": 'Alice Smith", "preferred_username": "mallory'},
        ],
        ids=lambda changes: next(iter(changes)),
    )
    async def test_an_id_token_that_says_otherwise_ends_the_order(self, lab, changes):
        """Each claim that is compared invalidates challenge, authorization and order."""
        _, account, order = await self.begun(lab)

        after = await lab.answer_oidc(account, order, lab.id_token(order, account, **changes))

        assert after.challenge.status is ChallengeStatus.INVALID
        assert after.challenge.error.type == "rejectedIdentifier"
        assert after.order.status is OrderStatus.INVALID

    @pytest.mark.parametrize(
        "changes", [{"name": f"im:wireapp=%40bob@{DOMAIN}"}, {"preferred_username": "Mallory"}]
    )
    async def test_the_first_generation_reads_the_claims_swapped(self, lab, changes):
        """There ``name`` is the handle and ``preferred_username`` the display name."""
        _, account, order = await self.begun(lab, FIRST)

        after = await lab.answer_oidc(account, order, lab.id_token(order, account, **changes))

        assert after.challenge.status is ChallengeStatus.INVALID

    @pytest.mark.parametrize("keyauth", [None, "other"])
    async def test_the_first_generation_proves_the_key_beside_the_token(self, lab, keyauth):
        """Without the right key authorization the token is not even looked at."""
        _, account, order = await self.begun(lab, FIRST)

        after = await lab.answer_oidc(account, order, lab.id_token(order, account), keyauth)

        assert after.challenge.status is ChallengeStatus.INVALID

    @pytest.mark.parametrize("disguise", [str, twin], ids=["the same", "another signature"])
    async def test_an_id_token_of_the_first_generation_serves_one_order(self, lab, disguise):
        """A token that was taken from somebody's log enrolls nobody else, whatever its signature."""
        _, account, order = await self.begun(lab, FIRST)
        token = lab.id_token(order, account)
        await lab.answer_oidc(account, order, token)
        thief = Device(prover("ES256"), FIRST)
        theirs = await lab.account(thief.prover)
        second = await lab.order(theirs, FIRST)

        after = await lab.answer_oidc(theirs, second, disguise(token))

        assert after.challenge.status is ChallengeStatus.INVALID
        assert "used before" in after.challenge.error.detail

    async def test_an_outage_of_the_provider_is_no_verdict(self, lab):
        """The challenge stays pending, and the same answer works when the provider is back."""
        _, account, order = await self.begun(lab)
        token = lab.id_token(order, account)
        lab.provider.failure = ProviderError(OidcFault.PROVIDER_UNREACHABLE, "down", retry_after=3)

        with pytest.raises(AvailabilityError) as refused:
            await lab.answer_oidc(account, order, token)

        assert refused.value.reason is Reason.IDENTITY_PROVIDER_UNAVAILABLE
        assert refused.value.retry_after.total_seconds() == 3
        lab.provider.failure = None
        after = await lab.answer_oidc(account, order, token)
        assert after.challenge.status is ChallengeStatus.VALID

    async def test_an_access_token_of_another_order_is_refused(self, lab):
        """Evidence is for the challenge that it was made for."""
        device, account, order = await self.begun(lab)
        other = await lab.order(account)

        after = await lab.answer_dpop(account, order, await lab.access_token(other, device))

        assert after.challenge.status is ChallengeStatus.INVALID

    async def test_an_access_token_of_another_device_is_refused(self, lab):
        """The device of the token is that of the order."""
        device, account, order = await self.begun(lab)
        other = Device(device.prover, SECOND.replace(DEVICE, "1"))
        token = lab.minter  # The backend vouches for the other device, with its own target.
        nonce = token.issue_nonce(other.client_id)
        _, _, text, url = lab.challenge(order, ChallengeType.WIRE_DPOP)
        claims = other.claims(int(NOW), nonce, text, url)
        claims["htu"] = claims["htu"].replace(DEVICE, "1")
        minted = await token.mint(
            ClientTokenRequest(other.client_id, HANDLE, NAME, "wire", DOMAIN, other.sign(claims))
        )

        after = await lab.answer_dpop(account, order, minted.value)

        assert after.challenge.status is ChallengeStatus.INVALID

    async def test_a_token_for_another_key_than_the_accounts_is_refused(self, lab):
        """Who answers holds the key that the backend vouched for."""
        _, account, order = await self.begun(lab)
        thief = Device(prover("ES256"))

        after = await lab.answer_dpop(account, order, await lab.access_token(order, thief))

        assert after.challenge.status is ChallengeStatus.INVALID
        assert "cnf" in after.challenge.error.detail

    async def test_a_token_of_another_minter_is_refused(self, lab, tmp_path):
        """Only configured keys vouch for devices."""
        device, account, order = await self.begun(lab)
        (tmp_path / "other").mkdir()
        async with bench(tmp_path / "other") as stranger:
            foreign = stranger.minter
            nonce = foreign.issue_nonce(device.client_id)
            _, _, text, url = lab.challenge(order, ChallengeType.WIRE_DPOP)
            minted = await foreign.mint(
                ClientTokenRequest(
                    device.client_id,
                    HANDLE,
                    NAME,
                    "wire",
                    DOMAIN,
                    device.sign(device.claims(int(NOW), nonce, text, url)),
                )
            )

        after = await lab.answer_dpop(account, order, minted.value)

        assert "key_not_found" in after.challenge.error.detail

    async def test_an_old_access_token_is_refused(self, lab):
        """Its time is over after six minutes and the skew."""
        device, account, order = await self.begun(lab)
        token = await lab.access_token(order, device)
        lab.clock.now += 360 + 61

        after = await lab.answer_dpop(account, order, token)

        assert "expired" in after.challenge.error.detail

    async def test_answers_that_race_settle_once(self, lab):
        """A good and several bad answers at once: one verdict, and everybody is shown that one."""
        device, account, order = await self.begun(lab)
        good = await lab.access_token(order, device)

        results = await asyncio.gather(
            *(lab.answer_dpop(account, order, token) for token in [good, "bad", good, "bad"])
        )

        assert len({each.challenge.status for each in results}) == 1

    async def test_an_answer_of_another_kind_changes_nothing(self, lab):
        """An access token answers no wire-oidc-01."""
        _, account, order = await self.begun(lab)
        authorization, challenge, _, _ = lab.challenge(order, ChallengeType.WIRE_OIDC)

        with pytest.raises(RequestError):
            await lab.enrollment.challenges.answer(account, authorization, challenge, AccessTokenAnswer("x"))

        found = await lab.enrollment.challenges.get(account, authorization, challenge)
        assert found.challenge.status is ChallengeStatus.PENDING

    async def test_another_account_sees_nothing(self, lab):
        """Orders, authorizations, challenges and certificates are their account's alone."""
        device, account, order = await self.begun(lab)
        other = await lab.account(prover("ES256"))
        authorization, challenge, _, _ = lab.challenge(order, ChallengeType.WIRE_DPOP)
        token = await lab.access_token(order, device)
        enrollment = lab.enrollment
        for attempt in (
            enrollment.orders.get(other, order.order_id),
            enrollment.orders.by_authorization(other, authorization),
            enrollment.challenges.get(other, authorization, challenge),
            lab.answer_dpop(other, order, token),
            enrollment.issuing.finalize(other, order.order_id, b""),
            enrollment.orders.deactivate_authorization(other, authorization),
        ):
            with pytest.raises(StateError) as refused:
                await attempt
            assert refused.value.reason is Reason.ENROLLMENT_NOT_FOUND
        assert (await enrollment.orders.get(account, order.order_id)).status is OrderStatus.PENDING


class TestIssuing:
    """Finalizing."""

    async def ready(self, lab, client_id=SECOND):
        """A device, its account and its ready order."""
        device = Device(prover("ES256"), client_id)
        account = await lab.account(device.prover)
        return device, account, await lab.ready(account, device)

    @pytest.mark.parametrize(
        ("changes", "fault"),
        [
            ({"organization": "example.org"}, "subject_mismatch"),
            ({"name": "Mallory"}, "subject_mismatch"),
            ({"uris": [SECOND]}, "missing_san"),
            ({"uris": [SECOND, f"wireapp://%40bob@{DOMAIN}"]}, "missing_san"),
            ({"uris": [SECOND, f"wireapp://%40{HANDLE}@{DOMAIN}", "https://x.org/"]}, "unexpected_san"),
        ],
    )
    async def test_a_request_for_other_names_is_refused(self, lab, changes, fault):
        """The order stays ready, and a right request is still taken."""
        _, account, order = await self.ready(lab)
        key = p256_key()

        with pytest.raises(RequestError) as refused:
            await lab.enrollment.issuing.finalize(account, order.order_id, wire_csr(key, **changes))

        assert (refused.value.reason, refused.value.metadata) == (Reason.BAD_CSR, {"fault": fault})
        done = await lab.enrollment.issuing.finalize(account, order.order_id, wire_csr(key))
        assert done.status is OrderStatus.VALID

    async def test_whose_key_is_certified(self, lab):
        """The account's in the first generation and no other; another than the account's in the second."""
        one, first, ready_first = await self.ready(lab, FIRST)
        two, second, ready_second = await self.ready(lab)
        for account, order, key, client_id, fault in (
            (first, ready_first, p256_key(), FIRST, "key_mismatch"),
            (second, ready_second, two.prover.key, SECOND, "account_key_reused"),
        ):
            with pytest.raises(RequestError) as refused:
                await lab.enrollment.issuing.finalize(account, order.order_id, wire_csr(key, client_id))
            assert refused.value.metadata == {"fault": fault}
        assert one.first

    @pytest.mark.parametrize("der", [b"", b"x", b"\x30\x00", b"\x00" * 20_000])
    async def test_garbage_is_no_request(self, lab, der):
        """Whatever is no PKCS#10 is badCSR."""
        _, account, order = await self.ready(lab)

        with pytest.raises(RequestError) as refused:
            await lab.enrollment.issuing.finalize(account, order.order_id, der)

        assert refused.value.reason is Reason.BAD_CSR

    async def test_a_race_makes_one_certificate(self, lab):
        """Of many that finalize at once, all that succeed get the same certificate."""
        _, account, order = await self.ready(lab)
        request = wire_csr(p256_key())

        outcomes = await asyncio.gather(
            *(lab.enrollment.issuing.finalize(account, order.order_id, request) for _ in range(6)),
            return_exceptions=True,
        )

        done = [each for each in outcomes if not isinstance(each, BaseException)]
        refused = [each for each in outcomes if isinstance(each, BaseException)]
        assert len({each.certificate_id for each in done}) == 1
        assert {each.reason for each in refused} <= {Reason.ORDER_NOT_READY}

    async def test_finalizing_again_returns_the_certificate(self, lab):
        """A client that lost the answer asks again."""
        _, account, order = await self.ready(lab)
        request = wire_csr(p256_key())
        first = await lab.enrollment.issuing.finalize(account, order.order_id, request)

        assert await lab.enrollment.issuing.finalize(account, order.order_id, request) == first

    async def test_a_signer_that_fails_loses_nothing(self, lab, monkeypatch):
        """The order is under way; the next attempt signs under the number that was taken."""
        _, account, order = await self.ready(lab)
        request = wire_csr(p256_key())
        signer = lab.provisioner.authority.current().signer

        async def fail(message):
            raise SignerUnavailableError("gone", key="ca")

        with monkeypatch.context() as patch:
            patch.setattr(type(signer), "sign", lambda _, message: fail(message))
            with pytest.raises(SignerUnavailableError):
                await lab.enrollment.issuing.finalize(account, order.order_id, request)
            found = await lab.enrollment.orders.get(account, order.order_id)
            assert found.status is OrderStatus.PROCESSING

        done = await lab.enrollment.issuing.finalize(account, order.order_id, request)

        assert done.status is OrderStatus.VALID

    async def test_a_crash_between_the_writes_is_made_good(self, lab, monkeypatch):
        """Whoever polls the order after the lease gets the certificate: the same content, stored once."""
        _, account, order = await self.ready(lab)
        request = wire_csr(p256_key())

        async def crash(*_args):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(type(lab.store.certificates), "complete", crash)
            with pytest.raises(KeyboardInterrupt):
                await lab.enrollment.issuing.finalize(account, order.order_id, request)
        with pytest.raises(StateError) as refused:
            await lab.enrollment.issuing.finalize(account, order.order_id, request)
        assert refused.value.metadata == {"status": "processing"}
        lab.clock.now += 31

        done = await lab.enrollment.issuing.current(account, order.order_id)

        assert done.status is OrderStatus.VALID
        issued = await lab.enrollment.issuing.certificate(account, done.certificate_id)
        assert issued.not_before == datetime.fromtimestamp(NOW - 60, issued.not_before.tzinfo)

    async def test_rules_that_became_stricter_end_what_was_left_half_made(self, lab, monkeypatch):
        """A request that is not accepted any more leads to an invalid order, and to no error for ever."""
        _, account, order = await self.ready(lab)

        async def crash(*_args):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(type(lab.store.certificates), "complete", crash)
            with pytest.raises(KeyboardInterrupt):
                await lab.enrollment.issuing.finalize(account, order.order_id, wire_csr(p256_key()))
        lab.clock.now += 31

        def refuse(_, der):
            raise CsrRefusedError(RequestFault.WEAK_KEY, "too weak by now")

        with monkeypatch.context() as patch:
            patch.setattr(CertificateRequest, "parse", classmethod(refuse))
            with pytest.raises(RequestError) as refused:
                await lab.enrollment.issuing.current(account, order.order_id)

        assert refused.value.reason is Reason.BAD_CSR
        after = await lab.enrollment.orders.get(account, order.order_id)
        assert (after.status, after.error.type) == (OrderStatus.INVALID, "badCSR")

    async def test_a_ca_whose_key_is_away_issues_nothing(self, lab):
        """Without the signer the order stays ready."""
        _, account, order = await self.ready(lab)
        view = lab.keyring.view
        lab.keyring.replace(replace(view, signers={}))

        with pytest.raises(AvailabilityError) as refused:
            await lab.enrollment.issuing.finalize(account, order.order_id, wire_csr(p256_key()))

        assert refused.value.reason is Reason.NO_ACTIVE_KEY
        lab.keyring.replace(view)
        done = await lab.enrollment.issuing.finalize(account, order.order_id, wire_csr(p256_key()))
        assert done.status is OrderStatus.VALID

    async def test_the_account_key_of_the_first_generation_must_be_the_proven_one(self, lab):
        """After a roll-over the device's proof is for another key than the account's."""
        device, account, order = await self.ready(lab, FIRST)
        new = prover("ES256")
        rolled = await lab.enrollment.accounts.roll_over(account, parse_jwk(new.jwk))

        with pytest.raises(GatewayError) as refused:
            await lab.enrollment.issuing.finalize(rolled, order.order_id, wire_csr(new.key, FIRST))

        assert isinstance(refused.value, AuthorizationError)
        assert device.first
