"""The minter of client access tokens: the recorded token, byte for byte, and every rule broken alone."""

import base64
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.enrollment.client_access_token import TYP
from gateway.enrollment.minter import ClientTokenMinter, ClientTokenRequest
from gateway.enrollment.targets import TargetTemplate
from gateway.errors import AvailabilityError, Reason, RequestError
from gateway.jose import parse_compact, verify
from gateway.keys.declared import new_record
from gateway.keys.keyring import Keyring, KeyringView
from gateway.keys.model import KeyPurpose, KeyState
from gateway.proofs.nonces import NonceError, NonceFault
from gateway.proofs.single_use_nonces import SingleUseNonces
from gateway.proofs.target_uri import TargetUriError
from signers import Algorithm
from signers.key_files import write_private_key
from signers.registry import SignerRegistry
from tests.support.dpop import OMIT, MemoryReplays
from tests.support.wire import (
    DEVICE,
    DOMAIN,
    FIRST,
    HANDLE,
    NAME,
    SECOND,
    TARGET,
    TEAM,
    Device,
    parts,
    prover,
    prover_of,
)

NOW = 1_900_000_000
CHALLENGE = "fMw6wdUZL0KgBzxFRsAXLLIQD2Ywv0MQ"
URL = "https://ca.example.org/acme/wire/challenge/a/c"


class RecordedNonces:
    """The nonces of the recorded exchange, which another server gave out; each works once."""

    def __init__(self, *nonces: str) -> None:
        self.left = set(nonces)

    def issue(self, *, subject: str) -> str:
        raise AssertionError(subject)

    async def use(self, nonce: str, *, subject: str) -> None:
        if nonce not in self.left:
            raise NonceError(NonceFault.UNKNOWN)
        self.left.remove(nonce)


class Mint:
    """A minter with a key, real nonces and a clock; and the request of a device to it."""

    def __init__(self, keyring: Keyring, nonces: Any, now: float = NOW, **options: Any) -> None:
        self.nonces = nonces
        self.minter = ClientTokenMinter(
            keyring=keyring,
            algorithm=Algorithm.EDDSA,
            nonces=nonces,
            target=TargetTemplate.parse(TARGET),
            proof_max_lifetime=options.pop("proof_max_lifetime", 300),
            clock_skew=0,
            clock=lambda: now,
            **options,
        )

    async def __call__(self, proof: str, client_id: str = SECOND, **changes: Any) -> Any:
        values = {
            "client_id": client_id,
            "handle": HANDLE,
            "display_name": NAME,
            "team": TEAM,
            "domain": DOMAIN,
            "proof": proof,
        }
        return await self.minter.mint(ClientTokenRequest(**(values | changes)))


@pytest.fixture
async def keyring(tmp_path, recorded) -> AsyncIterator[Keyring]:
    """A keyring whose key is the recorded minter's."""
    path = tmp_path / "minter.pem"
    write_private_key(path, load_pem_private_key(recorded["minter_key"].encode(), None), None, key="minter")
    async with SignerRegistry() as registry:
        signer = await registry.open(f"file:{path}", Algorithm.EDDSA)
        record = new_record(signer, KeyPurpose.CLIENT_ACCESS_TOKENS, "file:minter.pem", KeyState.ACTIVE, NOW)
        ring = Keyring()
        ring.replace(KeyringView((record,), {signer.key_id: signer}))
        yield ring


@pytest.fixture
def mint(keyring) -> Mint:
    """A minter with nonces of its own."""
    nonces = SingleUseNonces(
        [bytes(32)], space="wire-device", lifetime=300, replay=MemoryReplays(), clock=lambda: NOW
    )
    return Mint(keyring, nonces)


@pytest.fixture(params=[FIRST, SECOND], ids=["first", "second"])
def device(request) -> Device:
    """A device of each generation."""
    return Device(prover("ES256"), request.param)


def claims_for(mint: Mint, device: Device, **changes: Any) -> dict[str, Any]:
    """A right proof's claims with a nonce of the minter's, and *changes*."""
    nonce = mint.minter.issue_nonce(device.client_id)
    return device.claims(NOW, nonce, CHALLENGE, URL) | changes


async def test_the_recorded_token_is_minted_byte_for_byte(keyring, recorded):
    """The proof of the walk-through, at its time, gives exactly what was signed there, header and claims.

    The recorded signature has random noise in it, so that no signature can be compared with it; both verify.
    """
    mint = Mint(
        keyring,
        RecordedNonces("M1FxTzJ0dWdFbTNxRHZRMlNwY3dhem1kRlhLMEkxeGc"),
        recorded["now"],
        proof_max_lifetime=3600,
        new_token_id=lambda: "acd29513-93df-498b-b26d-20930c179728",
    )

    minted = await mint(recorded["dpop_header"], FIRST)

    key = keyring.signing_key(KeyPurpose.CLIENT_ACCESS_TOKENS, Algorithm.EDDSA).signer.public_key
    ours, theirs = parse_compact(minted.value), parse_compact(recorded["access_token"])
    assert ours.signing_input == theirs.signing_input
    for token in (ours, theirs):
        verify(token, key, Algorithm.EDDSA)


async def test_the_recorded_proof_works_once(keyring, recorded):
    """A second token for the same proof is refused by its nonce."""
    mint = Mint(
        keyring,
        RecordedNonces("M1FxTzJ0dWdFbTNxRHZRMlNwY3dhem1kRlhLMEkxeGc"),
        recorded["now"],
        proof_max_lifetime=3600,
    )
    await mint(recorded["dpop_header"], FIRST)

    with pytest.raises(RequestError) as refused:
        await mint(recorded["dpop_header"], FIRST)

    assert refused.value.metadata["fault"] == "client-token-bad-nonce"


@pytest.mark.parametrize("alg", ["EdDSA", "ES256", "ES384", "ES512"])
async def test_a_device_of_every_algorithm_gets_a_token(mint, alg):
    """The token names the device, its challenge and the thumbprint of its key, and verifies."""
    device = Device(prover(alg))
    proof = device.sign(claims_for(mint, device))

    minted = await mint(proof)

    header, claims = parts(minted.value)
    key = mint.minter._keyring.signing_key(KeyPurpose.CLIENT_ACCESS_TOKENS, Algorithm.EDDSA)
    verify(parse_compact(minted.value), key.signer.public_key, Algorithm.EDDSA)
    assert header["typ"] == TYP
    assert header["jwk"] == {"kty": "OKP", "crv": "Ed25519", "x": header["jwk"]["x"]}
    assert claims["cnf"] == {"kid": device.prover.jkt}
    assert (claims["aud"], claims["iss"]) == (URL, TARGET.replace("{device}", DEVICE))
    assert claims["proof"] == proof
    assert (claims["chal"], claims["scope"], claims["api_version"]) == (CHALLENGE, "wire_client_id", 5)
    assert (claims["iat"], claims["exp"]) == (NOW - 3600, NOW + 360)


async def test_both_encodings_of_the_header_are_read(mint, device):
    """The proof itself, and the base64url of it that other clients send, both work."""
    plain = device.sign(claims_for(mint, device))
    encoded = base64.urlsafe_b64encode(device.sign(claims_for(mint, device)).encode()).rstrip(b"=").decode()

    await mint(plain, device.client_id)
    await mint(encoded, device.client_id)


CHANGES = {
    "typ missing": ({"typ": OMIT}, {}, "missing-dpop-header"),
    "typ other": ({"typ": "JWT"}, {}, "client-token-type-error"),
    "typ in other case": ({"typ": "DPOP+JWT"}, {}, "client-token-type-error"),
    "alg none": ({"alg": "none"}, {}, "client-token-unsupported-alg"),
    "alg symmetric": ({"alg": "HS256"}, {}, "client-token-unsupported-alg"),
    "alg RSA": ({"alg": "RS256"}, {}, "client-token-unsupported-alg"),
    "jwk missing": ({"jwk": OMIT}, {}, "missing-dpop-header"),
    "jwk of another": ({"jwk": prover("ES256").jwk}, {}, "client-token-bad-signature"),
    "jwk of another kind": ({"jwk": prover("EdDSA").jwk}, {}, "client-token-bad-key"),
    "htm missing": ({}, {"htm": OMIT}, "client-token-parse-error"),
    "htm other": ({}, {"htm": "GET"}, "dpop-htm-mismatch"),
    "htm in other case": ({}, {"htm": "post"}, "dpop-htm-mismatch"),
    "htu missing": ({}, {"htu": OMIT}, "client-token-parse-error"),
    "htu malformed": ({}, {"htu": "wire.com"}, "client-token-bad-uri"),
    "htu other": ({}, {"htu": TARGET.replace("{device}", "1")}, "dpop-htu-mismatch"),
    "chal missing": ({}, {"chal": OMIT}, "client-token-chal-missing"),
    "handle missing": ({}, {"handle": OMIT}, "client-token-parse-error"),
    "handle other": ({}, {"handle": "wireapp://%40bob@wire.com"}, "dpop-handle-mismatch"),
    "iat missing": ({}, {"iat": OMIT}, "client-token-iat-missing"),
    "iat ahead": ({}, {"iat": NOW + 1}, "client-token-bad-iat"),
    "nbf missing": ({}, {"nbf": OMIT}, "client-token-parse-error"),
    "nbf ahead": ({}, {"nbf": NOW + 1}, "not-yet-valid"),
    "exp missing": ({}, {"exp": OMIT}, "client-token-exp-missing"),
    "exp over": ({}, {"exp": NOW}, "client-token-exp-too-small"),
    "exp far": ({}, {"exp": NOW + 301}, "client-token-exp-too-large"),
    "sub other": ({}, {"sub": SECOND.replace(DEVICE, "1")}, "client-token-bad-client-id"),
    "sub missing": ({}, {"sub": OMIT}, "client-token-parse-error"),
    "nonce missing": ({}, {"nonce": OMIT}, "client-token-bad-nonce"),
    "nonce unknown": ({}, {"nonce": "x" * 60}, "client-token-bad-nonce"),
    "jti missing": ({}, {"jti": OMIT}, "client-token-jti-missing"),
    "team other": ({}, {"team": "other"}, "dpop-team-mismatch"),
    "team missing": ({}, {"team": OMIT}, "dpop-team-mismatch"),
}
SECOND_ONLY = {
    "name other": ({"name": "Alice Smyth"}, "dpop-display-name-mismatch"),
    "name missing": ({"name": OMIT}, "client-token-parse-error"),
    "aud missing": ({"aud": OMIT}, "client-token-parse-error"),
    "aud of several": ({"aud": [URL]}, "client-token-parse-error"),
}


async def fault_of(mint: Mint, proof: str, client_id: str = SECOND, **changes: Any) -> str:
    """The fault for which *proof* is refused."""
    with pytest.raises(RequestError) as refused:
        await mint(proof, client_id, **changes)
    assert refused.value.reason is Reason.CLIENT_PROOF_REFUSED
    return refused.value.metadata["fault"]


@pytest.mark.parametrize(("header", "claims", "fault"), CHANGES.values(), ids=CHANGES)
async def test_each_broken_rule_has_its_fault(mint, device, header, claims, fault):
    """A proof that breaks one rule is refused by that rule, in both generations."""
    proof = device.sign(claims_for(mint, device, **claims), header)

    assert await fault_of(mint, proof, device.client_id) == fault


@pytest.mark.parametrize(("claims", "fault"), SECOND_ONLY.values(), ids=SECOND_ONLY)
async def test_the_second_generation_demands_more(mint, claims, fault):
    """Display name and audience are claims of the second generation only, and are required there."""
    device = Device(prover("ES256"))
    proof = device.sign(claims_for(mint, device, **claims))

    assert await fault_of(mint, proof) == fault


async def test_a_refused_proof_uses_no_nonce_up(mint, device):
    """The nonce of a proof that fails another check still works in the right one."""
    nonce = mint.minter.issue_nonce(device.client_id)
    claims = device.claims(NOW, nonce, CHALLENGE, URL)
    assert await fault_of(mint, device.sign(claims | {"htm": "GET"}), device.client_id) == "dpop-htm-mismatch"

    await mint(device.sign(claims), device.client_id)


async def test_a_nonce_works_once(mint, device):
    """Two proofs with one nonce get one token."""
    claims = claims_for(mint, device)
    await mint(device.sign(claims), device.client_id)

    assert (
        await fault_of(mint, device.sign(claims | {"jti": "two"}), device.client_id)
        == "client-token-bad-nonce"
    )


async def test_a_nonce_belongs_to_one_device(mint):
    """A nonce that was handed to one device is refused to another."""
    nonce = mint.minter.issue_nonce(SECOND.replace(DEVICE, "1"))
    device = Device(prover("ES256"))

    proof = device.sign(device.claims(NOW, nonce, CHALLENGE, URL))

    assert await fault_of(mint, proof) == "client-token-bad-nonce"


async def test_the_nonce_that_the_backend_remembers_is_compared(mint, device):
    """Where the backend names the nonce, the proof must carry that one."""
    proof = device.sign(claims_for(mint, device))
    other = mint.minter.issue_nonce(device.client_id)

    assert await fault_of(mint, proof, device.client_id, nonce=other) == "client-token-bad-nonce"


async def test_an_expired_nonce_is_refused(keyring, device):
    """A nonce is over after its lifetime."""
    now = time.time()
    nonces = SingleUseNonces([bytes(32)], space="n", lifetime=1, replay=MemoryReplays(), clock=lambda: now)
    mint = Mint(keyring, nonces, now)
    claims = device.claims(int(now), mint.minter.issue_nonce(device.client_id), CHALLENGE, URL)
    now += 3

    assert await fault_of(mint, device.sign(claims), device.client_id) == "client-token-bad-nonce"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"client_id": "wireapp://x!1@wire.com"}, "client_id"),
        ({"client_id": ""}, "client_id"),
        ({"domain": "example.org"}, "domain"),
        ({"handle": "Alice"}, None),
        ({"display_name": "Alice\x00"}, None),
        ({"display_name": "Аlice"}, None),
        ({"team": ""}, "team"),
    ],
)
async def test_what_the_backend_says_is_checked(mint, changes, field):
    """A malformed description of the device is the backend's fault, and says which part."""
    device = Device(prover("ES256"))
    proof = device.sign(claims_for(mint, device))

    with pytest.raises(RequestError) as refused:
        await mint(proof, **changes)

    assert (refused.value.reason, refused.value.field) == (Reason.INVALID_FIELD, field)


async def test_no_token_without_a_key(device):
    """Without an active key for this purpose nothing is minted, and the caller hears when to come back."""
    nonces = SingleUseNonces([bytes(32)], space="n", lifetime=60, replay=MemoryReplays(), clock=lambda: NOW)
    mint = Mint(Keyring(), nonces)

    with pytest.raises(AvailabilityError) as refused:
        await mint(device.sign(claims_for(mint, device)), device.client_id)

    assert refused.value.reason is Reason.NO_ACTIVE_KEY


@pytest.mark.parametrize("proof", ["", "...", "a.b", "e30.e30.e30", "not base64", "é.e.e", "x" * 20000])
async def test_garbage_is_refused(mint, proof):
    """Whatever is no proof is refused as that, and never as a defect of ours."""
    assert await fault_of(mint, proof) in {
        "client-token-parse-error",
        "missing-dpop-header",
        "client-token-bad-signature",
    }


@pytest.mark.parametrize(
    "text", ["ftp://x/{device}", "https://x/{other}", "https://x/{device}?q", "https://X/", ""]
)
def test_a_target_is_written_in_its_normal_form(text):
    """A template that no client could sign is refused at start."""
    with pytest.raises(TargetUriError):
        TargetTemplate.parse(text)


def test_the_recorded_device_signs_as_recorded(recorded):
    """The test device with the recorded key signs the same octets as were recorded."""
    proof = base64.urlsafe_b64decode(recorded["dpop_header"] + "==").decode()
    header, claims = parts(proof)

    signed = Device(prover_of(recorded["client_key"]), FIRST).sign(claims, header)

    assert parse_compact(signed).signing_input == parse_compact(proof).signing_input


async def test_a_key_that_is_away_leaves_the_nonce(mint, keyring):
    """The same proof works when the key is back: nothing was used up for a token that nobody got."""
    device = Device(prover("ES256"))
    nonce = mint.minter.issue_nonce(SECOND)
    proof = device.sign(device.claims(NOW, nonce, CHALLENGE, URL))
    view = keyring.view
    keyring.replace(KeyringView(view.records, {}))
    with pytest.raises(AvailabilityError) as refused:
        await mint(proof)
    keyring.replace(view)

    minted = await mint(proof)

    assert refused.value.reason is Reason.NO_ACTIVE_KEY
    assert minted.token.nonce == nonce
