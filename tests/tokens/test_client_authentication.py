"""Who is this OAuth client: each method right, and each rule broken on its own."""

import hashlib
from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from gateway.errors import AuthenticationError, Reason
from gateway.jose.jwk import JwkSet
from gateway.pki.certificate_identity import CertificateIdentity, IdentityKind
from gateway.tokens.client import ClientAuthenticationMethod as Method
from gateway.tokens.client_authentication import ClientSecret, PrivateKeyJwt
from gateway.tokens.grants import ClientCredentialsGrant, TokenRequest
from signers.jose_form import public_jwk
from tests.support.assertions import claims, jwks_of, signed
from tests.support.gateway import OpenedApplication, call_of
from tests.support.pki import Authority, Issued, as_authority, new_key, self_signed
from tests.support.stores import client, self_signed_client

REQUEST = TokenRequest(ClientCredentialsGrant())
DNS = "backend.example.org"


async def mint(app: OpenedApplication, certificate: Issued | None = None, credential=None, name="backend"):
    return await app.minter.mint(call_of(certificate), name, credential, REQUEST)


async def refused(app, certificate=None, credential=None, name="backend") -> str:
    """The cause of a refusal, which tells the client nothing but INVALID_CLIENT."""
    with pytest.raises(AuthenticationError) as caught:
        await mint(app, certificate, credential, name)
    error = caught.value
    assert error.reason is Reason.INVALID_CLIENT
    assert str(error) == "Client authentication failed."
    assert not error.metadata
    assert error.field is None
    return error.cause


def secret_client(secret: str, method: Method = Method.CLIENT_SECRET_BASIC) -> dict:
    return {
        "authentication_method": method,
        "identity": None,
        "secret_hash": hashlib.sha256(secret.encode()).digest(),
        "certificate_bound_access_tokens": False,
    }


def jwt_client(key, **changes) -> dict:
    return {
        "authentication_method": Method.PRIVATE_KEY_JWT,
        "identity": None,
        "jwks": JwkSet.parse(jwks_of(key)),
        "certificate_bound_access_tokens": False,
        **changes,
    }


def identified(kind: IdentityKind, value: str) -> dict:
    return {"identity": CertificateIdentity.parse(kind, value)}


def subject(*attributes: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(*attribute) for attribute in attributes])


LONG_NAME = subject(
    (NameOID.COUNTRY_NAME, "DE"), (NameOID.ORGANIZATION_NAME, "Example  Org"), (NameOID.COMMON_NAME, "Back")
)


async def test_certificate_name_accepted(app):
    """A certificate of the PKI with the registered name authenticates, and is what the token is bound to."""
    await app.register("backend")
    leaf = app.root.leaf(dns=(DNS,))
    minted = await mint(app, leaf)
    assert minted.token.client_id == "backend"
    assert minted.token.x5t_s256 == call_of(leaf).certificate.x5t_s256


async def test_certificate_by_an_intermediate(app):
    """The chain may go through an intermediate that the client presents."""
    await app.register("backend")
    assert await mint(app, app.root.intermediate().leaf(dns=(DNS,)))


async def test_client_unknown(app):
    """A client that is not registered is refused like any other."""
    assert await refused(app, app.root.leaf(dns=(DNS,)), name="nobody") == "client_unknown"


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a\0b", "ä", "x" * 129, "backend\n"])
async def test_client_id_malformed(app, name):
    """An id that no client can have is refused before the database is asked."""
    assert await refused(app, app.root.leaf(dns=(DNS,)), name=name) == "client_id_malformed"


async def test_client_disabled(app):
    """A disabled client is refused whatever it presents."""
    await app.register("backend", disabled=True)
    assert await refused(app, app.root.leaf(dns=(DNS,))) == "client_disabled"


async def test_certificate_missing(app):
    """A client by certificate name without a certificate is refused."""
    await app.register("backend")
    assert await refused(app) == "certificate_missing"


async def test_certificate_of_a_foreign_authority(app):
    """A certificate of an authority that the gateway does not trust proves nothing."""
    await app.register("backend")
    assert await refused(app, Authority.root("Other").leaf(dns=(DNS,))) == "certificate_untrusted"


async def test_certificate_of_an_authority_with_the_same_name(app):
    """A foreign authority is refused even under the name of the trusted one."""
    await app.register("backend")
    assert await refused(app, Authority.root("Test Root").leaf(dns=(DNS,))) == "certificate_untrusted"


async def test_certificate_expired(app):
    """An expired certificate is refused."""
    await app.register("backend")
    end = datetime.now(tz=UTC) - timedelta(hours=1)
    leaf = app.root.leaf(dns=(DNS,), not_before=end - timedelta(days=1), not_after=end)
    assert await refused(app, leaf) == "certificate_expired"


async def test_certificate_not_yet_valid(app):
    """A certificate from tomorrow is refused."""
    await app.register("backend")
    leaf = app.root.leaf(dns=(DNS,), not_before=datetime.now(tz=UTC) + timedelta(hours=1))
    assert await refused(app, leaf) == "certificate_not_yet_valid"


async def test_certificate_expires_by_our_clock(app, clock):
    """A certificate that was accepted is refused once its time is over by the gateway's clock."""
    await app.register("backend")
    leaf = app.root.leaf(dns=(DNS,))
    await mint(app, leaf)
    clock.advance(31 * 86_400)
    assert await refused(app, leaf) == "certificate_expired"


async def test_certificate_for_servers_only(app):
    """A certificate whose extended key usage leaves out client authentication is refused."""
    await app.register("backend")
    assert await refused(app, app.root.server(DNS)) == "certificate_wrong_usage"


async def test_leaf_minted_under_another_clients_certificate(app):
    """A CA:TRUE certificate that another client registered issues nothing that the gateway believes."""
    await app.register("backend")
    other = self_signed("other", ca=True)
    assert await refused(app, as_authority(other).leaf(dns=(DNS,))) == "certificate_untrusted"


async def test_name_is_that_of_the_leaf(app):
    """The name is looked for in the leaf alone, not in the certificates above it."""
    await app.register("backend", **identified(IdentityKind.SUBJECT_DN, "CN=Test Issuing"))
    issuing = app.root.intermediate("Test Issuing")
    assert await refused(app, issuing.leaf("somebody")) == "certificate_subject_mismatch"


@pytest.mark.parametrize(
    "spelling",
    [
        "CN=Back,O=Example Org,C=DE",
        "cn=back, o=example org, c=de",
        "CN=Back,O=Example  Org,C=DE",
        "2.5.4.3=Back,O=Example\\20Org,C=DE",
        "CN=#0C044261636B,O=Example Org,C=DE",
    ],
)
async def test_subject_in_another_spelling(app, spelling):
    """Names are compared as names (RFC 4517 distinguishedNameMatch), not as text."""
    await app.register("backend", **identified(IdentityKind.SUBJECT_DN, spelling))
    assert await mint(app, app.root.leaf(subject=LONG_NAME))


@pytest.mark.parametrize(
    "other",
    [
        "CN=Back,O=Example Org",
        "C=DE,O=Example Org,CN=Back",
        "CN=Back+O=Example Org,C=DE",
        "CN=Back2,O=x,C=DE",
    ],
)
async def test_another_subject(app, other):
    """A name that lacks an RDN, has another order or another grouping is another name."""
    await app.register("backend", **identified(IdentityKind.SUBJECT_DN, other))
    assert await refused(app, app.root.leaf(subject=LONG_NAME)) == "certificate_subject_mismatch"


@pytest.mark.parametrize(
    ("kind", "registered", "names"),
    [
        (IdentityKind.SAN_DNS, "Backend.Example.org", {"dns": ("other.example.org", DNS)}),
        (IdentityKind.SAN_URI, "spiffe://example.org/b", {"uris": ("spiffe://example.org/b",)}),
        (IdentityKind.SAN_IP, "2001:DB8:0::1", {"ips": ("2001:db8::1",)}),
        (IdentityKind.SAN_IP, "192.0.2.1", {"ips": ("192.0.2.1",)}),
        (IdentityKind.SAN_EMAIL, "Ops@EXAMPLE.org", {"emails": ("Ops@example.org",)}),
    ],
)
async def test_alternative_name_accepted(app, kind, registered, names):
    """Each kind of alternative name is compared by its own rule (RFC 8705 §2.1.2)."""
    await app.register("backend", **identified(kind, registered))
    assert await mint(app, app.root.leaf(**names))


@pytest.mark.parametrize(
    ("kind", "registered", "names"),
    [
        (IdentityKind.SAN_DNS, DNS, {"dns": ("*.example.org",)}),
        (IdentityKind.SAN_DNS, DNS, {"name": DNS}),
        (IdentityKind.SAN_DNS, DNS, {"uris": ("https://backend.example.org",)}),
        (IdentityKind.SAN_URI, "spiffe://example.org/b", {"uris": ("spiffe://example.org/B",)}),
        (IdentityKind.SAN_URI, "spiffe://example.org/b", {"uris": ("spiffe://example.org/b/",)}),
        (IdentityKind.SAN_IP, "192.0.2.1", {"ips": ("192.0.2.2",)}),
        (IdentityKind.SAN_IP, "192.0.2.1", {"dns": ("192.0.2.1",)}),
        (IdentityKind.SAN_EMAIL, "ops@example.org", {"emails": ("Ops@example.org",)}),
    ],
)
async def test_alternative_name_refused(app, kind, registered, names):
    """A name of another kind, a wildcard and a near miss are not the registered name."""
    await app.register("backend", **identified(kind, registered))
    assert await refused(app, app.root.leaf(**names)) == "certificate_subject_mismatch"


async def registered_self_signed(app, **certificate) -> Issued:
    issued = self_signed("backend", **certificate)
    jwks = JwkSet.from_members({"keys": [_jwk(issued)]})
    await app.register(
        "backend", authentication_method=Method.SELF_SIGNED_TLS_CLIENT_AUTH, identity=None, jwks=jwks
    )
    return issued


def _jwk(issued: Issued) -> dict:
    return {**public_jwk(issued.key.public_key()), "x5c": [b64encode(issued.der).decode()]}


async def test_registered_certificate(app):
    """The very certificate that was registered authenticates, whoever issued it."""
    issued = await registered_self_signed(app)
    assert (await mint(app, issued)).token.x5t_s256


async def test_certificate_not_registered(app):
    """A certificate of the same name and even the same key, but not the same octets, is another one."""
    issued = await registered_self_signed(app)
    twin = self_signed("backend", key=issued.key)
    assert await refused(app, twin) == "certificate_not_registered"


async def test_pki_certificate_for_a_self_signed_client(app):
    """A certificate of the trusted PKI with the client's name does not stand in for the registered one."""
    await registered_self_signed(app)
    assert await refused(app, app.root.leaf("backend")) == "certificate_not_registered"


async def test_leaf_under_the_registered_certificate(app):
    """A leaf that the registered certificate issued is not the registered certificate."""
    issued = await registered_self_signed(app, ca=True)
    assert await refused(app, as_authority(issued).leaf("backend")) == "certificate_not_registered"


async def test_self_signed_client_without_certificate(app):
    """A client by registered certificate that presents none is refused."""
    await registered_self_signed(app)
    assert await refused(app) == "certificate_missing"


async def test_registered_certificate_expired(app):
    """A registered certificate counts no longer than it says itself."""
    end = datetime.now(tz=UTC) - timedelta(hours=1)
    issued = await registered_self_signed(app, not_before=end - timedelta(days=1), not_after=end)
    assert await refused(app, issued) == "certificate_expired"


async def test_registered_certificate_not_yet_valid(app):
    """A registered certificate counts no earlier than it says itself."""
    issued = await registered_self_signed(app, not_before=datetime.now(tz=UTC) + timedelta(hours=1))
    assert await refused(app, issued) == "certificate_not_yet_valid"


async def test_one_of_two_registered_certificates(app):
    """A client may register the next certificate beside the present one."""
    first, der = self_signed_client("backend")
    second = self_signed("backend")
    both = JwkSet((*first.jwks.keys, *JwkSet.from_members({"keys": [_jwk(second)]}).keys))
    await app.register(
        "backend", authentication_method=Method.SELF_SIGNED_TLS_CLIENT_AUTH, identity=None, jwks=both
    )
    assert der != second.der
    assert await mint(app, second)


@pytest.mark.parametrize("method", [Method.CLIENT_SECRET_BASIC, Method.CLIENT_SECRET_POST])
async def test_secret_accepted(app, method):
    """The generated secret authenticates; over gRPC both ways to send it are one."""
    await app.register("backend", **secret_client("s3cret", method))
    assert (await mint(app, None, ClientSecret("s3cret"))).token.x5t_s256 is None


@pytest.mark.parametrize("wrong", ["", "S3cret", "s3cret ", "s3cre", "x" * 100_000, "s3cret\0", "\udce4"])
async def test_secret_wrong(app, wrong):
    """Any other secret is refused."""
    await app.register("backend", **secret_client("s3cret"))
    assert await refused(app, None, ClientSecret(wrong)) == "secret_mismatch"


async def test_secret_not_set(app):
    """A client by secret that has none yet is refused whatever it sends, the empty secret too."""
    await app.register("backend", **secret_client("x") | {"secret_hash": None})
    assert await refused(app, None, ClientSecret("")) == "secret_mismatch"


async def test_secret_hash_is_no_secret(app):
    """Who reads the hash in the database cannot present it."""
    hashed = hashlib.sha256(b"s3cret").hexdigest()
    await app.register("backend", **secret_client("s3cret"))
    assert await refused(app, None, ClientSecret(hashed)) == "secret_mismatch"


async def test_rotated_secret(app):
    """After a rotation the new secret counts and the old one does not."""
    created = await app.registrar.create(app_client("backend", Method.CLIENT_SECRET_POST), None)
    rotated = await app.registrar.rotate_secret("backend", expected_revision=None)
    assert created.secret != rotated.secret
    assert await refused(app, None, ClientSecret(created.secret)) == "secret_mismatch"
    assert await mint(app, None, ClientSecret(rotated.secret))


def app_client(name: str, method: Method):
    return client(name, authentication_method=method, identity=None, certificate_bound_access_tokens=False)


async def test_assertion_accepted(app, clock):
    """A signed assertion authenticates its client."""
    key = new_key()
    await app.register("backend", **jwt_client(key))
    assert await mint(app, None, PrivateKeyJwt(signed(key, claims(clock()))))


async def test_assertion_of_a_client_by_secret(app, clock):
    """A method other than the pinned one is refused, however well it proves the client."""
    await app.register("backend", **secret_client("s3cret"))
    assertion = PrivateKeyJwt(signed(new_key(), claims(clock())))
    assert await refused(app, None, assertion) == "method_not_registered"


async def test_secret_of_a_client_by_assertion(app):
    """A client that signs assertions has no secret to send."""
    await app.register("backend", **jwt_client(new_key()))
    assert await refused(app, None, ClientSecret("")) == "method_not_registered"


async def test_secret_of_a_client_by_certificate(app):
    """A client by certificate that sends a secret beside its certificate uses a method not its own."""
    await app.register("backend")
    leaf = app.root.leaf(dns=(DNS,))
    assert await refused(app, leaf, ClientSecret("x")) == "method_not_registered"


async def test_certificate_of_a_client_by_secret(app):
    """A certificate alone does not authenticate a client that is registered with a secret."""
    await app.register("backend", **secret_client("s3cret"))
    assert await refused(app, app.root.leaf(dns=(DNS,))) == "credential_missing"


async def test_secret_beside_a_certificate_binds(app):
    """A certificate beside a secret is for binding only, and the token is bound to it (RFC 8705 §3)."""
    await app.register("backend", **secret_client("s3cret"))
    leaf = app.root.leaf("anything")
    minted = await mint(app, leaf, ClientSecret("s3cret"))
    assert minted.token.x5t_s256 == call_of(leaf).certificate.x5t_s256


async def test_credentials_do_not_print():
    """Neither a secret nor an assertion shows in a repr, which is what a log would get."""
    assert "s3cret" not in repr(ClientSecret("s3cret"))
    assert "eyJhbGci" not in repr(PrivateKeyJwt("eyJhbGciOiJFUzI1NiJ9"))
