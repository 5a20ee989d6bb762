"""certbot's library and npm acme-client, unmodified, complete http-01 orders against the edge."""

import asyncio
from datetime import timedelta
from pathlib import Path

import josepy
import pytest
import pytest_asyncio
from acme import client, errors, messages
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support import node
from tests.support.acme import KeyAuthorizations, acme_gateway, encoded
from tests.support.edge import free_ports

SOURCES = Path(__file__).parent / "acme_clients"
NAMES = ["www.example.org", "api.example.org"]


@pytest_asyncio.fixture
async def web():
    """Where http-01 looks for `NAMES`."""
    async with KeyAuthorizations() as server:
        yield server


def request_for(names: list[str]) -> bytes:
    """A certification request in PEM, as certbot makes it."""
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False)
    )
    return builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.PEM)


def certbot_client(base: str, root: Path, key: josepy.JWK) -> client.ClientV2:
    """A client as certbot makes it."""
    alg = josepy.RS256 if isinstance(key, josepy.JWKRSA) else josepy.ES256
    network = client.ClientNetwork(key, alg=alg, verify_ssl=str(root), user_agent="test")
    directory = client.ClientV2.get_directory(f"{base}/directory", network)
    return client.ClientV2(directory, network)


def with_certbots_library(base: str, root: Path, key: josepy.JWK, web: KeyAuthorizations) -> str:
    """The life of a certificate; the chain, PEM. Blocks."""
    acme = certbot_client(base, root, key)
    registration = messages.NewRegistration.from_data(email="a@example.org", terms_of_service_agreed=True)
    account = acme.new_account(registration)
    acme.net.account = None
    with pytest.raises(errors.ConflictError) as existing:
        acme.new_account(registration)
    acme.net.account = account
    assert existing.value.location == account.uri
    # A nonce that the gateway does not know: the library tries again with the one that comes with badNonce.
    acme.net._nonces = {b"stale"}
    order = acme.new_order(request_for(NAMES))
    for authorization in order.authorizations:
        (http,) = [each for each in authorization.body.challenges if each.typ == "http-01"]
        response, validation = http.response_and_validation(acme.net.key)
        web.answers[http.chall.encode("token")] = validation
        answered = acme.answer_challenge(http, response)
        assert answered.body.status == messages.STATUS_VALID
    done = acme.poll_and_finalize(order)
    renewal, _ = acme.renewal_time(done.fullchain_pem.encode())
    assert renewal is not None
    leaf = x509.load_pem_x509_certificate(done.fullchain_pem.encode())
    acme.revoke(leaf, 4)
    with pytest.raises(messages.Error) as again:
        acme.revoke(leaf, 4)
    assert again.value.code == "alreadyRevoked"
    assert acme.deactivate_registration(account).body.status == "deactivated"
    with pytest.raises(messages.Error) as unauthorized:
        acme.new_order(request_for(NAMES))
    assert unauthorized.value.code == "unauthorized"
    return done.fullchain_pem


@pytest.mark.parametrize("kind", ["RSA", "EC"])
async def test_certbots_library(tmp_path, web, kind):
    """An RSA account key, as certbot's default was for years, and an elliptic-curve one, as it is now."""
    key = (
        josepy.JWKRSA(key=josepy.ComparableRSAKey(rsa.generate_private_key(65537, 2048)))
        if kind == "RSA"
        else josepy.JWKEC(key=josepy.ComparableECKey(ec.generate_private_key(ec.SECP256R1())))
    )
    async with acme_gateway(tmp_path, http_port=web.port, names=NAMES) as served:
        root = tmp_path / "root.pem"
        root.write_bytes(served.gateway.root.pem)
        pem = await asyncio.to_thread(with_certbots_library, served.base("tls"), root, key, web)

    leaf, issuer = x509.load_pem_x509_certificates(pem.encode())
    leaf.verify_directly_issued_by(issuer)
    issuer.verify_directly_issued_by(served.root)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert sorted(names.get_values_for_type(x509.DNSName)) == sorted(NAMES)


async def test_certbots_library_binds_an_external_account(tmp_path):
    """Its binding is accepted once, and without one there is no account."""
    async with acme_gateway(tmp_path) as served:
        root = tmp_path / "root.pem"
        root.write_bytes(served.gateway.root.pem)
        async with served.gateway.client(served.gateway.admin) as admin:
            binding = await admin.create_external_account_key(
                "provisioners/bound", lifetime=timedelta(hours=1)
            )

        def register() -> tuple[str, str]:
            key = josepy.JWKEC(key=josepy.ComparableECKey(ec.generate_private_key(ec.SECP256R1())))
            acme = certbot_client(served.base("bound"), root, key)
            assert acme.external_account_required()
            wish = messages.NewRegistration.from_data(email="a@example.org", terms_of_service_agreed=True)
            with pytest.raises(messages.Error) as unbound:
                acme.new_account(wish)
            bound = messages.ExternalAccountBinding.from_data(
                account_public_key=acme.net.key.public_key(),
                kid=binding.key.key_id,
                hmac_key=encoded(binding.secret),
                directory=acme.directory,
            )
            account = acme.new_account(wish.update(external_account_binding=bound))
            return unbound.value.code, account.uri

        code, uri = await asyncio.to_thread(register)

    assert code == "externalAccountRequired"
    assert uri.startswith(served.base("bound"))


@pytest.mark.parametrize("key", ["createPrivateEcdsaKey", "createPrivateRsaKey"])
async def test_acme_client_of_npm(tmp_path, key):
    """Account, order, chain, contacts, revocation, key change and the end of the account."""
    (port,) = free_ports(1)
    async with acme_gateway(tmp_path, http_port=port, names=NAMES) as served:
        answer = await asyncio.to_thread(
            node.run,
            SOURCES,
            "acme_client.mjs",
            {
                "directory": f"{served.base('tls')}/directory",
                "root": served.gateway.root.pem.decode(),
                "port": port,
                "names": NAMES,
                "key": key,
            },
        )

    leaf, issuer = x509.load_pem_x509_certificates(answer["chain"].encode())
    leaf.verify_directly_issued_by(issuer)
    issuer.verify_directly_issued_by(served.root)
    assert answer["contact"] == ["mailto:other@example.org"]
    assert "revoked already" in answer["again"]
    assert answer["deactivated"] == "deactivated"
