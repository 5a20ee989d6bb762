"""Enrollment from the configuration: what starts, and what stops a start with a sentence."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from gateway.config import ConfigurationError
from gateway.enrollment.accounts import AccountWish
from gateway.enrollment.wire_names import Generation
from gateway.errors import AvailabilityError, Reason
from gateway.jose.jwk import parse_jwk
from gateway.jose.jwt import Claims
from gateway.oidc.id_token import IdToken
from signers import Algorithm
from softhsm.provision import provision
from tests.support.gateway import make_key, opened_application, prepare
from tests.support.issuing import ca_certificate
from tests.support.pki import Authority, pem
from tests.support.wire import TARGET, prover

WIRE: dict[str, Any] = {
    "name": "wire",
    "url": "https://ca.example.org/acme/wire",
    "chain": "chain.pem",
    "challenges": ["wire-oidc-01", "wire-dpop-01"],
    "oidc_issuer": "https://idp.example.org",
    "oidc_client_id": "wireapp",
    "dpop_target": TARGET,
}
TLS: dict[str, Any] = {
    "name": "hosts",
    "kind": "tls",
    "url": "https://ca.example.org/acme/hosts",
    "chain": "chain.pem",
    "challenges": ["http-01"],
    "domains": ["example.org"],
}


def sections(folder, *provisioners: dict[str, Any], life=(timedelta(days=-1), timedelta(days=30)), **changes):
    """The sections of a configuration that enrolls, with its files."""
    keys = []
    for name, purpose in (("tokens", "tokens"), ("ca", "certificates")):
        keys.append({"purpose": purpose, "algorithm": "ES256", "uri": make_key(folder, name)})
    key = load_pem_private_key((folder / "keys" / "ca.pem").read_bytes(), None)
    now = datetime.now(UTC).replace(microsecond=0)
    certificate = ca_certificate(key.public_key(), Authority.root(), now, life=life)
    (folder / "chain.pem").write_bytes(changes.pop("chain", pem(certificate)))
    (folder / "secret").write_bytes(changes.pop("secret", bytes(32)))
    enrollment = {"nonce_secrets": ["secret"], "client_token_target": TARGET} | changes
    return {"keys": keys, "enrollment": enrollment, "provisioners": list(provisioners)}


async def test_both_kinds_are_wired(tmp_path):
    """Two provisioners over one CA."""
    async with opened_application(tmp_path, **sections(tmp_path, WIRE, TLS)) as app:
        names = [each.name for each in app.enrollment.provisioners.all]
        account, created = await app.enrollment.accounts.create(
            "hosts", "me", parse_jwk(prover("ES256").jwk), AccountWish(), url="x"
        )

    assert (names, created, account.provisioner) == (["wire", "hosts"], True, "hosts")


async def test_nothing_is_wired_without_provisioners(tmp_path):
    """Enrollment is off unless it is configured."""
    async with opened_application(tmp_path) as app:
        assert app.enrollment is None
        assert app.client_tokens is None


async def test_a_ca_in_an_hsm(tmp_path, monkeypatch):
    """The issuing key may be in any signer; the chain is checked against it."""
    provisioned = provision(tmp_path / "hsm", token="ca", keys=["issuing:ES384"])
    for name, value in provisioned.environment.items():
        monkeypatch.setenv(name, value)
    configured = sections(tmp_path, WIRE)
    uri = provisioned.uri("issuing")
    configured["keys"][1] = {"purpose": "certificates", "algorithm": "ES384", "uri": uri}
    async with opened_application(tmp_path, keys=configured["keys"]) as app:
        signers = app.keyring.view.signers.values()
        (signer,) = [each for each in signers if each.algorithm is Algorithm.ES384]
        now = datetime.now(UTC).replace(microsecond=0)
        certificate = ca_certificate(signer.public_key, Authority.root(), now)
    (tmp_path / "chain.pem").write_bytes(pem(certificate))
    (tmp_path / "countersign.toml").unlink()

    async with opened_application(tmp_path, **configured) as app:
        crl = await app.enrollment.revocations.crl("wire")

    assert crl.number == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"chain": b""}, "provisioners.chain"),
        ({"chain": b"-----BEGIN CERTIFICATE-----\n"}, "provisioners.chain"),
        ({"secret": bytes(31)}, "enrollment.nonce_secrets"),
        ({"nonce_secrets": []}, "enrollment.nonce_secrets"),
        ({"nonce_secrets": ["missing"]}, "enrollment.nonce_secrets"),
    ],
)
async def test_what_is_wrong_stops_the_start(tmp_path, changes, field):
    """With the field that is to be mended."""
    configured = sections(tmp_path, WIRE, **changes)

    with pytest.raises(ConfigurationError, match=field):
        async with opened_application(tmp_path, **configured):
            pass


async def test_a_chain_for_another_key_issues_nothing(tmp_path):
    """The CA's key is known by the chain; where no declared key has it, nothing can be issued."""
    other = Authority.root()
    now = datetime.now(UTC).replace(microsecond=0)
    chain = pem(ca_certificate(other.key.public_key(), other, now))
    async with opened_application(tmp_path, **sections(tmp_path, WIRE, chain=chain)) as app:
        with pytest.raises(AvailabilityError) as refused:
            await app.enrollment.revocations.crl("wire")

    assert refused.value.reason is Reason.NO_ACTIVE_KEY


async def test_an_expired_ca_lets_the_gateway_start(tmp_path):
    """Tokens are minted as ever; enrollment says that it is not available."""
    life = (timedelta(days=-9), timedelta(days=-1))
    async with opened_application(tmp_path, **sections(tmp_path, WIRE, life=life)) as app:
        with pytest.raises(AvailabilityError) as refused:
            await app.enrollment.revocations.crl("wire")

    assert refused.value.reason is Reason.ISSUER_UNAVAILABLE


@pytest.mark.parametrize(
    ("provisioner", "message"),
    [
        (WIRE | {"challenges": ["wire-dpop-01"]}, "both and no others"),
        (WIRE | {"oidc_issuer": None}, "needs oidc_issuer"),
        (WIRE | {"url": "https://ca.example.org/acme/wire/"}, "without a slash"),
        (WIRE | {"url": "http://ca.example.org/acme"}, "scheme"),
        (WIRE | {"name": "Wire"}, "name"),
        (WIRE | {"dpop_target": "https://x/{other}"}, "stand for something"),
        (WIRE | {"default_lifetime": 864_000, "maximum_lifetime": 86_400}, "between"),
        (TLS | {"challenges": ["wire-oidc-01"]}, "at least one of"),
        (TLS | {"domains": []}, "needs domains"),
    ],
)
async def test_a_provisioner_that_contradicts_itself_is_refused(tmp_path, provisioner, message):
    """When the configuration is read, with a sentence."""
    kept = {name: value for name, value in provisioner.items() if value is not None}

    with pytest.raises(ConfigurationError, match=message):
        await prepare(tmp_path, **sections(tmp_path, kept))


async def test_keys_of_other_minters(tmp_path):
    """A CA may trust minters elsewhere, by their public keys."""
    configured = sections(tmp_path, WIRE | {"dpop_keys": ["minter.pem"]})
    public = prover("ES384").key.public_key()
    (tmp_path / "minter.pem").write_bytes(
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    async with opened_application(tmp_path, **configured) as app:
        (provisioner,) = app.enrollment.provisioners.all
        ((algorithm, key),) = provisioner.dpop.keys()

    assert (algorithm, key) == (Algorithm.ES384, public)


def token(**claims: object) -> IdToken:
    """An ID token that says *claims*, and is not verified."""
    return IdToken(
        issuer="https://idp.example.org",
        subject="alice",
        audiences=("wireapp",),
        authorized_party=None,
        issue_time=0,
        expire_time=600,
        authenticate_time=None,
        nonce=None,
        acr=None,
        amr=(),
        name=None,
        preferred_username=None,
        email=None,
        email_verified=None,
        claims=Claims(claims),
        members=claims,
    )


async def test_the_claims_of_another_provider(tmp_path):
    """A configured claim gives the handle of each generation's form, and the domain is added."""
    claims = {
        "oidc_name_claim": "/profile/full",
        "oidc_handle_claim": "/upn",
        "oidc_handle_suffix": "@wire.com",
    }
    said = token(profile={"full": 'Al"ice'}, upn="alice", keyauth="k", acme_aud="u")
    async with opened_application(tmp_path, **sections(tmp_path, WIRE | claims)) as app:
        (provisioner,) = app.enrollment.provisioners.all
        mapped = {kind: rules.apply(said) for kind, rules in provisioner.oidc.mappings.items()}

    assert {kind: (each.string("name"), each.string("handle")) for kind, each in mapped.items()} == {
        Generation.FIRST: ('Al"ice', "im:wireapp=%40alice@wire.com"),
        Generation.SECOND: ('Al"ice', "wireapp://%40alice@wire.com"),
    }
    assert mapped[Generation.SECOND].string("keyauth") == "k"


@pytest.mark.parametrize(
    "claims",
    [{"oidc_handle_claim": "upn"}, {"oidc_name_claim": "/a~2"}, {"oidc_handle_suffix": "@wire.com"}],
)
async def test_a_claim_that_is_no_pointer_stops_the_start(tmp_path, claims):
    """Nor does a suffix stand without the claim that it is added to."""
    with pytest.raises(ConfigurationError, match="provisioners"):
        async with opened_application(tmp_path, **sections(tmp_path, WIRE | claims)):
            pass


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"oidc_ca": "ca.pem"}, "oidc_networks"),
        ({"oidc_ca": "ca.pem", "oidc_networks": ["10.0.0.0/8"]}, "oidc_ca"),
        ({"oidc_networks": ["127.0.0.0/8"]}, "oidc_issuer"),
        ({"oidc_networks": ["8.8.8.0/24"]}, "oidc_issuer"),
        ({"oidc_issuer": "https://10.1.2.3"}, "oidc_issuer"),
        ({"oidc_issuer": "http://idp.example.org"}, "oidc_issuer"),
    ],
)
async def test_a_provider_that_cannot_be_reached_stops_the_start(tmp_path, changes, message):
    """Roots without a network, a network that is not private, an address that nobody opened."""
    with pytest.raises(ConfigurationError, match=message):
        async with opened_application(tmp_path, **sections(tmp_path, WIRE | changes)):
            pass


async def test_a_provider_in_a_network_of_ones_own(tmp_path):
    """With roots of its own and a port of its own it is asked by a client that goes nowhere else inside."""
    (tmp_path / "ca.pem").write_bytes(Authority.root().pem)
    changes = {
        "oidc_issuer": "https://idp.corp.example.org:8443",
        "oidc_networks": ["10.0.0.0/8"],
        "oidc_ca": "ca.pem",
    }
    async with opened_application(tmp_path, **sections(tmp_path, WIRE | changes)) as app:
        (provisioner,) = app.enrollment.provisioners.all

    assert provisioner.oidc.target == "https://idp.corp.example.org:8443"
