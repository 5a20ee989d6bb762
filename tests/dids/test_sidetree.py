"""The Sidetree rules of long-form DIDs, by published DIDs and each rule broken alone."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dids import (
    DidError,
    DidFault,
    DidOutcome,
    IonPolicy,
    IonResolver,
    Relationship,
    Source,
    parse_did,
    parse_did_jws,
    verify_did_jws,
)
from gateway.dids.sidetree import MAX_DELTA_SIZE, hash_of, read_initial_state
from gateway.jose import base64url, parse_jwk
from signers import Algorithm
from tests.support.dids import ION, TestSigner, refuses
from tests.support.sidetree import (
    COMMITMENT,
    b64,
    canonical,
    key_entry,
    long_form,
    long_form_of,
    multihash,
    replace,
    service_entry,
)

STRICT = IonResolver()
LOOSE = IonResolver(IonPolicy(unsafe_non_canonical_ion=True))
KEY = key_entry("k", TestSigner(Algorithm.ES256K).jwk, "authentication")
PATCHES = [replace([KEY])]


async def resolve(did, resolver=STRICT):
    return await resolver.resolve(parse_did(did))


def with_member(entry, **changes):
    return {name: value for name, value in (entry | changes).items() if value is not None}


async def test_the_profiles_long_form_resolves_to_the_published_document():
    """The published long form gives the published key, service and short form, all offline."""
    vector = ION["long_form"]
    resolution = await resolve(vector["did"])
    (method,) = resolution.document.methods
    jwk = {"kty": "EC", "crv": "secp256k1", "x": vector["x"], "y": vector["y"]}
    assert method.public_key == parse_jwk(jwk).public_key
    assert (method.id, method.controller) == (f"{vector['did']}#key-1", vector["did"])
    assert (method.algorithm, method.relationships) == (Algorithm.ES256K, {Relationship.AUTHENTICATION})
    (service,) = resolution.document.services
    assert (service.id, service.types) == (f"{vector['did']}#domain-1", ("LinkedDomains",))
    assert service.endpoints[0].uri == vector["origin"]
    assert resolution.source is Source.SELF
    assert resolution.lifetime is None
    assert resolution.equivalent_ids == (vector["did"].rpartition(":")[0],)


def test_the_profiles_commitments_are_read():
    """Both commitments of the published long form are those of its published resolution."""
    vector = ION["long_form"]
    _, _, suffix, state = vector["did"].split(":")
    initial = read_initial_state(state, suffix)
    assert initial.recovery_commitment == vector["recoveryCommitment"]
    assert initial.update_commitment == vector["updateCommitment"]


@pytest.mark.parametrize("party", ["verifier", "holder", "issuer"])
async def test_the_profiles_test_dids_need_the_switch(party):
    """The three DIDs of the profile's vectors are not canonical: refused by default, read with the switch."""
    vector = ION["not_canonical"][party]
    with refuses(DidFault.ION_NOT_CANONICAL) as refusal:
        await resolve(vector["did"])
    assert refusal.error.outcome is DidOutcome.UNRESOLVABLE
    (method,) = (await resolve(vector["did"], LOOSE)).document.methods
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": vector["x"]}
    assert method.public_key == parse_jwk(jwk).public_key


@pytest.mark.parametrize("index", range(4))
async def test_the_profiles_tokens_verify_offline(index):
    """Request, ID token, presentation and credential of the profile verify under the DIDs in them."""
    signed = ION["signed"][index]
    document = (await resolve(signed["signer"], LOOSE)).document
    key = verify_did_jws(
        parse_did_jws(signed["token"]), document, any_of=frozenset({Relationship.AUTHENTICATION})
    )
    assert key.algorithm is Algorithm.EDDSA


async def test_the_switch_forgives_the_order_of_members_alone():
    """With the switch on, a state with whitespace or other escapes is refused still."""
    canonical_did = long_form(PATCHES)
    _, _, suffix, state = canonical_did.split(":")
    members = json.loads(base64url.decode(state))
    for octets in (json.dumps(members).encode(), base64url.decode(state).replace(b'"k"', b'"\\u006b"')):
        with refuses(DidFault.ION_NOT_CANONICAL):
            await resolve(long_form_of(octets, suffix), LOOSE)
    assert (await resolve(canonical_did, LOOSE)).document == (await resolve(canonical_did)).document


async def test_the_switch_hashes_the_delta_as_it_is_spelled():
    """A delta whose hash is that of its canonical form, but which is spelled otherwise, is refused."""
    delta = {"updateCommitment": COMMITMENT, "patches": PATCHES}
    suffix_data = {"deltaHash": multihash(canonical(delta)), "recoveryCommitment": COMMITMENT}
    state = json.dumps({"delta": delta, "suffixData": suffix_data}, separators=(",", ":")).encode()
    with refuses(DidFault.ION_DELTA_HASH_MISMATCH):
        await resolve(long_form_of(state, multihash(canonical(suffix_data))), LOOSE)


async def test_the_switch_relaxes_no_other_rule():
    """Suffix, hashes and sizes hold with the switch on as they do without."""
    with refuses(DidFault.ION_SUFFIX_MISMATCH):
        await resolve(long_form(PATCHES, suffix=COMMITMENT), LOOSE)
    with refuses(DidFault.ION_DELTA_HASH_MISMATCH):
        await resolve(long_form(PATCHES, delta_hash=COMMITMENT), LOOSE)
    with refuses(DidFault.ION_NOT_CANONICAL):
        await resolve(long_form(PATCHES, delta={"n": 2**60 + 1}), LOOSE)


@pytest.mark.parametrize(
    ("did", "fault"),
    [
        (long_form(PATCHES, suffix=COMMITMENT), DidFault.ION_SUFFIX_MISMATCH),
        (long_form(PATCHES, delta_hash=COMMITMENT), DidFault.ION_DELTA_HASH_MISMATCH),
        (long_form(PATCHES, suffix_data={"x": 1}), DidFault.ION_INVALID_SUFFIX_DATA),
        (long_form(PATCHES, suffix_data={"recoveryCommitment": None}), DidFault.ION_INVALID_SUFFIX_DATA),
        (long_form(PATCHES, suffix_data={"deltaHash": None}), DidFault.ION_INVALID_SUFFIX_DATA),
        (long_form(PATCHES, suffix_data={"type": "abcde"}), DidFault.ION_INVALID_SUFFIX_DATA),
        (long_form(PATCHES, suffix_data={"type": "a b"}), DidFault.ION_INVALID_SUFFIX_DATA),
        (long_form(PATCHES, suffix_data={"type": 1}), DidFault.ION_INVALID_SUFFIX_DATA),
        (long_form(PATCHES, suffix_data={"recoveryCommitment": 1}), DidFault.ION_INVALID_MULTIHASH),
        (long_form(PATCHES, suffix_data={"recoveryCommitment": "EiA"}), DidFault.ION_INVALID_MULTIHASH),
        (long_form(PATCHES, suffix_data={"recoveryCommitment": "="}), DidFault.ION_INVALID_MULTIHASH),
        (
            long_form(PATCHES, suffix_data={"recoveryCommitment": b64(b"\x13\x20" + bytes(32))}),
            DidFault.ION_INVALID_MULTIHASH,
        ),
        (long_form(PATCHES, delta={"updateCommitment": "x"}), DidFault.ION_INVALID_MULTIHASH),
        (long_form(PATCHES, delta={"updateCommitment": None}), DidFault.ION_INVALID_DELTA),
        (long_form(PATCHES, delta={"x": 1}), DidFault.ION_INVALID_DELTA),
        (long_form({}), DidFault.ION_INVALID_DELTA),
        (long_form(PATCHES, delta={"x": "a" * MAX_DELTA_SIZE}), DidFault.ION_DELTA_TOO_LARGE),
        (long_form_of(b'{"delta":{}}', COMMITMENT), DidFault.ION_STATE_MALFORMED),
        (long_form_of(b'{"delta":[],"suffixData":{}}', multihash(b"{}")), DidFault.ION_STATE_MALFORMED),
        (long_form_of(b'{"delta":{},"suffixData":1}', COMMITMENT), DidFault.ION_STATE_MALFORMED),
        (long_form_of(b'{"a":1,"a":1}', COMMITMENT), DidFault.ION_STATE_MALFORMED),
        (long_form_of(b'{"a":[' * 20 + b"]}" * 20, COMMITMENT), DidFault.ION_STATE_MALFORMED),
        (long_form_of(b'{"a":123456789123456789123}', COMMITMENT), DidFault.ION_NOT_CANONICAL),
        (long_form_of(b'{"a":1.0}', COMMITMENT), DidFault.ION_NOT_CANONICAL),
        (long_form_of(b'{"b":1,"a":1}', COMMITMENT), DidFault.ION_NOT_CANONICAL),
        (long_form_of(b"not json", COMMITMENT), DidFault.ION_STATE_MALFORMED),
        (long_form_of(b"[]", COMMITMENT), DidFault.ION_STATE_MALFORMED),
        (f"did:ion:{COMMITMENT}:A", DidFault.ION_STATE_MALFORMED),
        (f"did:ion:{COMMITMENT}:AA%3D", DidFault.ION_STATE_MALFORMED),
    ],
)
async def test_each_rule_of_the_initial_state(did, fault):
    """Each rule that binds a state to its DID refuses with its own code when it alone is broken."""
    with refuses(fault):
        await resolve(did)


def broken_patches():
    key, service = DidFault.ION_INVALID_KEY, DidFault.ION_INVALID_SERVICE
    patch = DidFault.ION_INVALID_PATCH
    good = service_entry("s", "https://a.example")
    yield from (
        ([1], patch),
        ([{}], patch),
        ([{"action": ["replace"], "document": {}}], patch),
        ([{"action": "ietf-json-patch", "patches": []}], patch),
        ([{"action": "replace"}], patch),
        ([{"action": "replace", "document": {}, "x": 1}], patch),
        ([{"action": "replace", "document": []}], patch),
        ([{"action": "replace", "document": {"x": []}}], patch),
        ([{"action": "remove-public-keys", "ids": "k"}], patch),
        ([{"action": "remove-services", "ids": ["a b"]}], patch),
        ([{"action": "remove-services", "ids": [1]}], patch),
        ([{"action": "replace", "document": {"publicKeys": {}}}], key),
        ([replace(["k"])], key),
        ([replace([with_member(KEY, id=1)])], key),
        ([replace([with_member(KEY, id="a" * 51)])], key),
        ([replace([with_member(KEY, id="")])], key),
        ([replace([with_member(KEY, id="a.b")])], key),
        ([replace([KEY, KEY])], key),
        ([replace([with_member(KEY, type=None)])], key),
        ([replace([with_member(KEY, type=1)])], key),
        ([replace([with_member(KEY, publicKeyJwk=None)])], key),
        ([replace([with_member(KEY, publicKeyJwk=[])])], key),
        ([replace([with_member(KEY, controller="did:x:y")])], key),
        ([replace([with_member(KEY, purposes="authentication")])], key),
        ([replace([with_member(KEY, purposes=["general"])])], key),
        ([replace([with_member(KEY, purposes=[["authentication"]])])], key),
        ([replace([with_member(KEY, purposes=["authentication"] * 2)])], key),
        ([{"action": "add-public-keys", "publicKeys": [{}]}], key),
        ([replace([], [with_member(good, id="a" * 51)])], service),
        ([replace([], [good, good])], service),
        ([replace([], [with_member(good, type="a" * 31)])], service),
        ([replace([], [with_member(good, type=1)])], service),
        ([replace([], [with_member(good, serviceEndpoint=["https://a.example"])])], service),
        ([replace([], [with_member(good, serviceEndpoint="no uri")])], service),
        ([replace([], [with_member(good, serviceEndpoint=1)])], service),
        ([replace([], [with_member(good, x=1)])], service),
        ([{"action": "add-services", "services": {}}], service),
    )


@pytest.mark.parametrize(("patches", "fault"), list(broken_patches()))
async def test_each_rule_of_patches(patches, fault):
    """Each rule of keys, services and patches refuses the DID with its own code, the hashes being right."""
    with refuses(fault):
        await resolve(long_form(patches))


async def test_key_patches_are_applied_in_order():
    """Adding replaces an entry of the same id, removing drops it, and what is not there is not missed."""
    other = TestSigner(Algorithm.EDDSA)
    added = [key_entry("k", other.jwk, "assertionMethod"), key_entry("l", other.jwk)]
    did = long_form(
        [
            replace([KEY]),
            {"action": "add-public-keys", "publicKeys": added},
            {"action": "remove-public-keys", "ids": ["l", "missing"]},
        ]
    )
    (method,) = (await resolve(did)).document.methods
    assert (method.id, method.public_key) == (f"{did}#k", other.public_key)
    assert method.relationships == {Relationship.ASSERTION_METHOD}


async def test_service_patches_are_applied_in_order():
    """Services are added and removed by id like keys."""
    did = long_form(
        [
            replace([], [service_entry("s", "https://a.example"), service_entry("t", {"origins": []})]),
            {"action": "remove-services", "ids": ["s", "missing"]},
            {"action": "add-services", "services": [service_entry("u", "https://b.example")]},
        ]
    )
    services = (await resolve(did)).document.services
    assert [service.id for service in services] == [f"{did}#t", f"{did}#u"]


async def test_a_key_without_purposes_is_listed_nowhere():
    """A key without purposes stands in verificationMethod alone (Sidetree, add-public-keys)."""
    entry = with_member(KEY, purposes=None)
    (method,) = (await resolve(long_form([replace([entry])]))).document.methods
    assert method.relationships == frozenset()


async def test_a_replacement_drops_everything_before_it():
    """The replace patch starts anew."""
    document = (await resolve(long_form([replace([KEY]), replace()]))).document
    assert (document.methods, document.services) == ((), ())


async def test_a_type_of_up_to_four_characters_is_allowed():
    """suffixData.type is optional, and part of what the suffix hashes."""
    assert (await resolve(long_form(PATCHES, suffix_data={"type": "ab12"}))).document.methods


def test_the_hash_is_a_multihash():
    """The multihash of nothing is the well-known digest of nothing, with its prefix."""
    # SOURCE: FIPS 180-4, SHA-256 of the empty message.
    digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert base64url.decode(hash_of(b"")).hex() == f"1220{digest}"


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=300)
    | st.dictionaries(st.sampled_from(["delta", "suffixData", "a"]), st.none()).map(canonical)
)
async def test_any_state_is_refused_with_a_code(octets):
    """Whatever a stranger puts into a state, the answer is a `DidError`."""
    for resolver in (STRICT, LOOSE):
        try:
            await resolve(f"did:ion:{COMMITMENT}:{b64(octets) or 'A'}", resolver)
        except DidError:
            continue
        raise AssertionError("a random state resolved")
