"""gateway.pki.client_chain: what chains to the PKI, and every way in which a certificate does not."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.pki import ClientTrust, PkiError, PkiFault
from tests.support.pki import SERVER_AUTH, Authority, Issued, as_authority, common_name, issue, self_signed

VECTORS = Path(__file__).parent.parent / "vectors"
NOW = datetime.now(tz=UTC).timestamp()
DAY = 86400
SIGNING = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True)
class Presented:
    certificate: x509.Certificate
    intermediates: tuple[x509.Certificate, ...] = ()


def presented(issued: Issued, *more: x509.Certificate) -> Presented:
    return Presented(issued.certificate, (*issued.intermediates, *more))


def moment(days: float) -> datetime:
    return datetime.now(tz=UTC).replace(microsecond=0) + timedelta(days=days)


@pytest.fixture(scope="module")
def root() -> Authority:
    return Authority.root()


@pytest.fixture(scope="module")
def trust(root) -> ClientTrust:
    return ClientTrust([root.certificate])


def code_of(trust, certificate, now=NOW):
    with pytest.raises(PkiError) as caught:
        trust.verify(certificate, now)
    return caught.value.code


def certificate_with(
    subject: x509.Name, key, issuer: Authority, *extensions: tuple[x509.ExtensionType, bool]
) -> x509.Certificate:
    """A certificate with exactly *extensions* and an authority key identifier."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment(-1))
        .not_valid_after(moment(30))
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False
        )
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(issuer.key, hashes.SHA256())


def sub_authority(root: Authority, *extensions: tuple[x509.ExtensionType, bool]) -> Authority:
    """A CA below *root* with further *extensions*."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = certificate_with(
        common_name("Sub"),
        key,
        root,
        (x509.BasicConstraints(ca=True, path_length=None), True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (SIGNING, True),
        *extensions,
    )
    return Authority(certificate, key, (certificate, *root.path))


def directory_constraint(organization: str, *, excluded: bool = False) -> x509.NameConstraints:
    base = x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)]))
    return x509.NameConstraints(None, [base]) if excluded else x509.NameConstraints([base], None)


def organization(name: str, *more: x509.NameAttribute) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, name), *more])


class TestAccepted:
    def test_a_leaf_of_a_root_is_trusted(self, root, trust):
        """The plain case, without a SAN: a client may be named by its subject alone."""
        trust.verify(presented(root.leaf("client-a")), NOW)

    def test_an_intermediate_may_be_presented_or_configured(self, root, trust):
        """The chain is built from what the client sends, and from what is configured."""
        leaf = root.intermediate().leaf("client-a")
        trust.verify(presented(leaf), NOW)
        configured = ClientTrust([root.certificate], leaf.intermediates)
        configured.verify(Presented(leaf.certificate), NOW)

    def test_an_unneeded_certificate_does_no_harm(self, root, trust):
        """Foreign certificates beside a good chain are passed over."""
        foreign = self_signed("other", ca=True).certificate
        trust.verify(presented(root.leaf("client-a"), foreign), NOW)

    @pytest.mark.parametrize("usage", [(), (ExtendedKeyUsageOID.CLIENT_AUTH, SERVER_AUTH)])
    def test_client_authentication_is_needed_only_where_usage_is_stated(self, root, trust, usage):
        """Without extended key usage, or with clientAuth among others, the leaf is fine."""
        trust.verify(presented(root.leaf("client-a", extended_key_usage=usage)), NOW)

    @pytest.mark.parametrize(
        "key",
        [ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP384R1())],
        ids=["ed25519", "p384"],
    )
    def test_the_leaf_may_have_another_kind_of_key(self, root, trust, key):
        """The verifier's list of key kinds is for CAs."""
        trust.verify(presented(root.leaf("client-a", key=key)), NOW)

    def test_a_root_without_key_usage_is_accepted(self):
        """`openssl req -x509` makes roots that state no key usage (RFC 5280 §6.1.4 n)."""
        key = ec.generate_private_key(ec.SECP256R1())
        bare = Authority(self_signed("bare", ca=True).certificate, key)
        certificate = certificate_with(
            bare.certificate.subject, key, bare, (x509.BasicConstraints(ca=True, path_length=None), True)
        )
        authority = Authority(certificate, key)
        ClientTrust([certificate]).verify(presented(authority.leaf("client-a")), NOW)

    def test_the_first_and_last_second_are_valid(self, root, trust):
        """Both ends of the period belong to it (RFC 5280 §4.1.2.5)."""
        leaf = root.leaf("client-a", not_before=moment(-0.5), not_after=moment(0.5))
        trust.verify(presented(leaf), leaf.certificate.not_valid_before_utc.timestamp())
        trust.verify(presented(leaf), leaf.certificate.not_valid_after_utc.timestamp())


class TestDates:
    def test_an_expired_leaf_is_expired(self, root, trust):
        """One second past the end is expired."""
        leaf = root.leaf("client-a", not_before=moment(-3), not_after=moment(-2))
        assert code_of(trust, presented(leaf)) is PkiFault.EXPIRED
        assert code_of(trust, presented(leaf), leaf.certificate.not_valid_after_utc.timestamp() + 1) is (
            PkiFault.EXPIRED
        )

    def test_a_future_leaf_is_not_yet_valid(self, root, trust):
        """A leaf whose period has not begun is not_yet_valid."""
        leaf = root.leaf("client-a", not_before=moment(1))
        assert code_of(trust, presented(leaf)) is PkiFault.NOT_YET_VALID

    def test_an_expired_intermediate_breaks_the_chain(self, root, trust):
        """No valid chain is left: untrusted."""
        leaf = root.intermediate(not_before=moment(-3), not_after=moment(-2)).leaf("client-a")
        assert code_of(trust, presented(leaf)) is PkiFault.UNTRUSTED

    def test_an_expired_root_breaks_the_chain(self):
        """A root is trusted within its own period only."""
        old = Authority.root(not_before=moment(-3), not_after=moment(-2))
        assert code_of(ClientTrust([old.certificate]), presented(old.leaf("client-a"))) is PkiFault.UNTRUSTED


class TestUntrusted:
    def test_a_foreign_ca_is_untrusted(self, trust):
        """A leaf of another PKI, its root presented along, is untrusted."""
        foreign = Authority.root()
        assert code_of(trust, presented(foreign.leaf("client-a"), foreign.certificate)) is PkiFault.UNTRUSTED

    def test_a_root_of_the_same_name_is_untrusted(self, trust):
        """The name of the root is not the root: another key under it signs nothing."""
        imposter = Authority.root()
        assert code_of(trust, presented(imposter.leaf("client-a"))) is PkiFault.UNTRUSTED

    @pytest.mark.parametrize("ca", [True, False, None])
    def test_a_self_signed_certificate_is_untrusted(self, trust, ca):
        """Self-signed, CA or not: registered elsewhere perhaps, but no part of the PKI."""
        assert code_of(trust, presented(self_signed("client-a", ca=ca))) is PkiFault.UNTRUSTED

    def test_a_leaf_minted_by_a_self_signed_client_is_untrusted(self, trust):
        """Client B's own CA:TRUE certificate cannot sign for client A, even where TLS lets it pass."""
        minted = as_authority(self_signed("client-b", ca=True)).leaf("client-a")
        assert minted.intermediates
        assert code_of(trust, presented(minted)) is PkiFault.UNTRUSTED

    def test_a_leaf_minted_by_a_leaf_is_untrusted(self, root, trust):
        """An end entity of the PKI is no CA: what it signs is untrusted."""
        minted = as_authority(root.leaf("client-b")).leaf("client-a")
        assert code_of(trust, presented(minted)) is PkiFault.UNTRUSTED

    def test_a_path_length_is_kept(self, root, trust):
        """A sub-CA that may have none below itself cannot make one."""
        leaf = root.intermediate(path_length=0).intermediate("Below").leaf("client-a")
        assert code_of(trust, presented(leaf)) is PkiFault.UNTRUSTED

    def test_a_version_1_certificate_is_untrusted(self, trust):
        """RFC 8705's example certificate, at a time when it was valid."""
        certificate = x509.load_pem_x509_certificate((VECTORS / "rfc8705_appendix_a.pem").read_bytes())
        then = certificate.not_valid_before_utc.timestamp() + 1
        assert code_of(trust, Presented(certificate), then) is PkiFault.UNTRUSTED

    def test_an_unknown_critical_extension_is_untrusted(self, root, trust):
        """What must be understood and is not, refuses the leaf."""
        extension = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = certificate_with(common_name("client-a"), key, root, (extension, True))
        assert code_of(trust, Presented(leaf)) is PkiFault.UNTRUSTED

    def test_too_many_intermediates_are_refused(self, root, trust):
        """Nine certificates beside the leaf are chain_too_long, without any signature being checked."""
        leaf = root.leaf("client-a")
        crowd = Presented(leaf.certificate, (leaf.certificate,) * 9)
        assert code_of(trust, crowd) is PkiFault.CHAIN_TOO_LONG


class TestUsage:
    def test_a_root_is_no_client(self, root, trust):
        """The anchor itself, presented as a leaf, is wrong_usage."""
        assert code_of(trust, Presented(root.certificate)) is PkiFault.WRONG_USAGE

    def test_a_ca_of_the_pki_is_no_client(self, root, trust):
        """An intermediate, or any CA:TRUE leaf, does not authenticate a client."""
        assert code_of(trust, Presented(root.intermediate().certificate)) is PkiFault.WRONG_USAGE
        assert code_of(trust, presented(root.leaf("client-a", ca=True))) is PkiFault.WRONG_USAGE

    def test_the_wso2_sample_is_no_client_even_where_it_is_a_root(self):
        """The article's certificate is CA:TRUE: untrusted without it among the roots, wrong_usage with it."""
        certificate = x509.load_pem_x509_certificate((VECTORS / "wso2_sample_client.pem").read_bytes())
        then = certificate.not_valid_before_utc.timestamp() + 1
        other = ClientTrust([Authority.root().certificate])
        assert code_of(other, Presented(certificate), then) is PkiFault.UNTRUSTED
        assert code_of(ClientTrust([certificate]), Presented(certificate), then) is PkiFault.WRONG_USAGE

    def test_a_server_certificate_is_no_client(self, root, trust):
        """Extended key usage without clientAuth is wrong_usage."""
        assert code_of(trust, presented(root.server())) is PkiFault.WRONG_USAGE

    def test_any_extended_key_usage_is_not_client_authentication(self, root, trust):
        """Only clientAuth itself is."""
        leaf = root.leaf("client-a", extended_key_usage=(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,))
        assert code_of(trust, presented(leaf)) is PkiFault.WRONG_USAGE

    def test_a_key_that_may_not_sign_is_no_client(self, root, trust):
        """Key usage without digitalSignature cannot make a CertificateVerify."""
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = certificate_with(common_name("client-a"), key, root, (SIGNING, True))
        assert code_of(trust, Presented(leaf)) is PkiFault.WRONG_USAGE

    def test_a_short_rsa_key_is_refused(self, root, trust):
        """Below 2048 bits the key could be found by somebody else."""
        leaf = root.leaf("client-a", key=rsa.generate_private_key(65537, 1024))  # noqa: S505 - the weakness is the point.
        assert code_of(trust, presented(leaf)) is PkiFault.WRONG_USAGE


class TestNameConstraints:
    def test_a_subject_outside_a_directory_constraint_is_refused(self, root, trust):
        """A sub-CA that may name one organization cannot name another's clients."""
        sub = sub_authority(root, (directory_constraint("Tenant"), False))
        inside = organization("Tenant", x509.NameAttribute(NameOID.COMMON_NAME, "a"))
        trust.verify(presented(sub.leaf(subject=inside)), NOW)
        outside = presented(sub.leaf(subject=organization("Example")))
        assert code_of(trust, outside) is PkiFault.NAME_CONSTRAINT

    def test_an_excluded_subject_is_refused(self, root, trust):
        """Excluded subtrees hold, too."""
        sub = sub_authority(root, (directory_constraint("Example", excluded=True), False))
        trust.verify(presented(sub.leaf(subject=organization("Tenant"))), NOW)
        assert (
            code_of(trust, presented(sub.leaf(subject=organization("Example")))) is PkiFault.NAME_CONSTRAINT
        )

    def test_a_critical_directory_constraint_fails_closed(self, root, trust):
        """The verifier does not know it, so nothing below that CA is trusted."""
        sub = sub_authority(root, (directory_constraint("Tenant"), True))
        assert code_of(trust, presented(sub.leaf(subject=organization("Tenant")))) is PkiFault.UNTRUSTED

    def test_an_address_in_the_subject_is_under_the_address_constraint(self, root, trust):
        """An emailAddress attribute cannot slip past a constraint on addresses."""
        constraint = x509.NameConstraints([x509.RFC822Name("example.org")], None)
        sub = sub_authority(root, (constraint, False))
        email = x509.NameAttribute(NameOID.EMAIL_ADDRESS, "a@evil.example")
        leaf = sub.leaf(subject=organization("Tenant", email))
        assert code_of(trust, presented(leaf)) is PkiFault.NAME_CONSTRAINT

    @pytest.mark.parametrize(
        ("constraint", "names"),
        [
            (x509.DNSName("example.org"), {"dns": ("a.evil.example",)}),
            (x509.UniformResourceIdentifier("example.org"), {"uris": ("spiffe://evil.example/a",)}),
            (x509.RFC822Name("example.org"), {"emails": ("a@evil.example",)}),
        ],
    )
    def test_alternative_names_are_under_their_constraints(self, root, trust, constraint, names):
        """Names of the SAN outside what the CA may name leave no valid chain."""
        sub = sub_authority(root, (x509.NameConstraints([constraint], None), False))
        assert code_of(trust, presented(sub.leaf("client-a", **names))) is PkiFault.UNTRUSTED


class TestCache:
    def test_a_remembered_chain_still_expires(self, root):
        """Dates are checked on every call, of the whole chain and not only of the leaf."""
        trust = ClientTrust([root.certificate])
        sub = root.intermediate(not_after=moment(2))
        leaf = presented(sub.leaf("client-a", not_after=moment(5)))
        trust.verify(leaf, NOW)
        assert code_of(trust, leaf, NOW + 3 * DAY) is PkiFault.UNTRUSTED
        assert code_of(trust, leaf, NOW + 6 * DAY) is PkiFault.EXPIRED
        assert code_of(trust, leaf, NOW - 2 * DAY) is PkiFault.NOT_YET_VALID
        trust.verify(leaf, NOW)

    def test_a_failure_is_not_remembered(self, root, trust):
        """A leaf whose intermediate was missing is accepted once it is presented."""
        leaf = root.intermediate().leaf("client-a")
        assert code_of(trust, Presented(leaf.certificate)) is PkiFault.UNTRUSTED
        trust.verify(presented(leaf), NOW)
        assert code_of(trust, Presented(leaf.certificate)) is PkiFault.UNTRUSTED

    def test_the_cache_is_bounded(self, root):
        """The oldest chain makes room, and is verified anew when it comes back."""
        trust = ClientTrust([root.certificate], cache_entries=2)
        leaves = [presented(root.leaf(f"client-{number}")) for number in range(4)]
        for leaf in (*leaves, leaves[0]):
            trust.verify(leaf, NOW)
        assert len(trust._verified) == 2

    def test_new_roots_are_a_new_object(self, root):
        """What one trust accepted is nothing to another."""
        leaf = presented(root.leaf("client-a"))
        ClientTrust([root.certificate]).verify(leaf, NOW)
        assert code_of(ClientTrust([Authority.root().certificate]), leaf) is PkiFault.UNTRUSTED


class TestConfiguration:
    def test_a_trust_needs_a_root(self):
        """No roots at all is invalid_root, not a trust that refuses everybody."""
        with pytest.raises(PkiError) as caught:
            ClientTrust([])
        assert caught.value.code is PkiFault.INVALID_ROOT

    @pytest.mark.parametrize("ca", [False, None])
    def test_a_certificate_that_is_no_ca_is_no_root(self, root, ca):
        """A leaf among the roots or intermediates stops the start."""
        leaf = self_signed("client-a", ca=ca).certificate
        with pytest.raises(PkiError) as caught:
            ClientTrust([leaf])
        assert caught.value.code is PkiFault.INVALID_ROOT
        with pytest.raises(PkiError) as caught:
            ClientTrust([root.certificate], [leaf])
        assert caught.value.code is PkiFault.INVALID_INTERMEDIATE

    @pytest.mark.parametrize(
        "key",
        [
            ed25519.Ed25519PrivateKey.generate(),
            ec.generate_private_key(ec.SECP256K1()),
            rsa.generate_private_key(65537, 1024),  # noqa: S505 - the weakness is the point.
        ],
        ids=["ed25519", "secp256k1", "rsa-1024"],
    )
    def test_a_ca_key_that_the_verifier_does_not_know_is_said_at_the_start(self, key):
        """Rather than that every client of that CA is refused later."""
        subject = common_name("Odd Root")
        with pytest.raises(PkiError) as caught:
            ClientTrust([issue(subject, subject, key, key, ca=True)])
        assert caught.value.code is PkiFault.INVALID_ROOT
