"""did:ion beyond its long form: networks, short forms, and the configured node."""

import json

import pytest

from gateway.dids import (
    DidFault,
    DidOutcome,
    IonPolicy,
    IonResolver,
    IonState,
    Relationship,
    SidetreeNode,
    Source,
    parse_did,
)
from gateway.dids.parsing import MAX_DOCUMENT
from signers import Algorithm
from tests.support.dids import HOST, TestSigner, refuses, web_host
from tests.support.scripted_server import redirect, reply
from tests.support.sidetree import COMMITMENT, key_entry, long_form, replace

OLD, NEW = TestSigner(Algorithm.EDDSA), TestSigner(Algorithm.EDDSA)
LONG = long_form([replace([key_entry("k", OLD.jwk, "authentication")])])
SHORT = LONG.rpartition(":")[0]
AUTHENTICATION = frozenset({Relationship.AUTHENTICATION})


@pytest.fixture
async def host():
    async with web_host() as running:
        yield running


def resolver(host, state=IonState.REQUIRE_NODE, **node):
    # The node of these tests stands below a path, as some do.
    return IonResolver(IonPolicy(state=state), SidetreeNode(host.client, f"{host.origin}/ion/", **node))


def answer(host, did=SHORT, *, jwk=NEW.jwk, metadata=None, **response):
    document = {
        "id": did,
        "verificationMethod": [
            {"id": "#k", "controller": "", "type": "JsonWebKey2020", "publicKeyJwk": jwk},
        ],
        "authentication": ["#k"],
    }
    result = {"didDocument": document, "didDocumentMetadata": metadata or {"method": {"published": True}}}
    host.server.routes[f"/ion/identifiers/{SHORT}"] = reply(body=json.dumps(result).encode(), **response)


def key_of(resolution):
    kid = f"{resolution.document.id}#k"
    return resolution.document.signing_key(kid, Algorithm.EDDSA, any_of=AUTHENTICATION).public_key


async def test_a_short_form_needs_a_node():
    """Without a configured node a short form is unresolvable, and nobody is asked."""
    with refuses(DidFault.ION_NODE_REQUIRED) as refusal:
        await IonResolver().resolve(parse_did(SHORT))
    assert refusal.error.outcome is DidOutcome.UNRESOLVABLE


def test_a_policy_that_asks_a_node_needs_one():
    """A policy that checks long forms cannot be configured without a node."""
    with pytest.raises(ValueError, match="none is configured"):
        IonResolver(IonPolicy(state=IonState.PREFER_NODE))


async def test_a_short_form_is_resolved_by_the_node(host):
    """The node's document counts, with its relative ids and empty controllers, for as long as it says."""
    answer(host, headers={"Cache-Control": "max-age=7"})
    resolution = await resolver(host).resolve(parse_did(SHORT))
    assert key_of(resolution) == NEW.public_key
    assert (resolution.source, resolution.lifetime) == (Source.NODE, 7)


async def test_a_long_form_that_was_anchored_has_the_nodes_keys(host):
    """A key that was rotated after anchoring counts, under the long form that was asked for."""
    answer(host)
    resolution = await resolver(host).resolve(parse_did(LONG))
    assert resolution.document.id.text == LONG
    assert key_of(resolution) == NEW.public_key
    assert (resolution.source, resolution.equivalent_ids) == (Source.NODE, (SHORT,))


async def test_a_long_form_that_was_never_anchored_has_its_own_keys(host):
    """The node does not know the DID, so the state that it carries is its state."""
    resolution = await resolver(host).resolve(parse_did(LONG))
    assert key_of(resolution) == OLD.public_key
    assert resolution.source is Source.SELF_UNPUBLISHED
    assert resolution.lifetime == 60.0


async def test_offline_asks_nobody(host):
    """With the offline policy a configured node is not asked about long forms."""
    answer(host)
    resolution = await resolver(host, IonState.OFFLINE).resolve(parse_did(LONG))
    assert key_of(resolution) == OLD.public_key
    assert host.server.requests == []


@pytest.mark.parametrize("did", [LONG, SHORT], ids=["long", "short"])
@pytest.mark.parametrize("state", [IonState.PREFER_NODE, IonState.REQUIRE_NODE])
async def test_a_deactivated_did_is_refused(host, did, state):
    """What the node calls deactivated, in its metadata or by 410, resolves under no policy that asks it."""
    answer(host, metadata={"deactivated": True})
    with refuses(DidFault.DEACTIVATED) as refusal:
        await resolver(host, state).resolve(parse_did(did))
    assert refusal.error.outcome is DidOutcome.DEACTIVATED
    host.server.routes[f"/ion/identifiers/{SHORT}"] = reply(410)
    with refuses(DidFault.DEACTIVATED):
        await resolver(host, state).resolve(parse_did(did))


async def test_an_unreachable_node_decides_by_policy(host):
    """While the node fails, prefer_node uses the DID's own state and says so, and require_node refuses."""
    host.server.routes[f"/ion/identifiers/{SHORT}"] = reply(503)
    resolution = await resolver(host, IonState.PREFER_NODE).resolve(parse_did(LONG))
    assert (resolution.source, key_of(resolution)) == (Source.SELF_UNCHECKED, OLD.public_key)
    with refuses(DidFault.UNREACHABLE) as refusal:
        await resolver(host).resolve(parse_did(LONG))
    assert refusal.error.outcome is DidOutcome.UNAVAILABLE


async def test_a_node_that_hangs_is_left_at_the_deadline(host):
    """A node that never answers costs the configured deadline and no more."""

    async def hang(_, writer):
        await writer.drain()
        await writer.wait_closed()

    host.server.routes[f"/ion/identifiers/{SHORT}"] = hang
    with refuses(DidFault.UNREACHABLE):
        await resolver(host, deadline=0.2).resolve(parse_did(LONG))


async def test_an_unknown_short_form_is_not_found(host):
    """A short form that the node does not know is unresolvable."""
    with refuses(DidFault.NOT_FOUND):
        await resolver(host).resolve(parse_did(SHORT))


@pytest.mark.parametrize(
    ("response", "fault"),
    [
        (reply(400), DidFault.ANSWER_REFUSED),
        (redirect("/elsewhere"), DidFault.TARGET_REFUSED),
        (reply(body=b"{}"), DidFault.ANSWER_REFUSED),
        (reply(body=b'{"didDocumentMetadata":{}}'), DidFault.ANSWER_REFUSED),
        (reply(body=b'{"didDocumentMetadata":{},"didDocument":{"id":"did:ion:x"}}'), DidFault.ID_MISMATCH),
        (reply(body=b"<html>", content_type="text/html"), DidFault.MEDIA_TYPE_REFUSED),
        (reply(body=b" " * (MAX_DOCUMENT + 1)), DidFault.DOCUMENT_TOO_LARGE),
        (reply(body=b"[" * 5000), DidFault.INVALID_DOCUMENT),
    ],
)
@pytest.mark.parametrize("state", [IonState.PREFER_NODE, IonState.REQUIRE_NODE])
async def test_an_answer_that_is_no_resolution_is_refused(host, response, fault, state):
    """A node that answers nonsense is not the same as one that is down: no policy falls back."""
    host.server.routes[f"/ion/identifiers/{SHORT}"] = response
    with refuses(fault):
        await resolver(host, state).resolve(parse_did(LONG))


async def test_a_broken_long_form_asks_nobody(host):
    """A long form is verified against itself before the node hears of it."""
    with refuses(DidFault.ION_DELTA_HASH_MISMATCH):
        await resolver(host).resolve(parse_did(long_form([], delta_hash=COMMITMENT)))
    assert host.server.requests == []


@pytest.mark.parametrize(
    "identifier", ["x", "test2:" + COMMITMENT, f"{COMMITMENT}:a:b", "EiA", f"x:{COMMITMENT}"]
)
async def test_what_is_no_ion_identifier_is_refused(identifier):
    """The suffix is a SHA2-256 multihash, with at most a state after it."""
    with refuses(DidFault.INVALID_DID):
        await IonResolver().resolve(parse_did(f"did:ion:{identifier}"))


async def test_the_test_network_is_a_switch(host):
    """DIDs of ION's test network, long and short, are refused unless the policy allows them."""
    did = long_form([replace()], prefix="did:ion:test")
    with refuses(DidFault.METHOD_NOT_SUPPORTED):
        await IonResolver().resolve(parse_did(did))
    allowed = IonResolver(IonPolicy(test_network=True))
    assert (await allowed.resolve(parse_did(did))).equivalent_ids == (did.rpartition(":")[0],)
    with refuses(DidFault.ION_NODE_REQUIRED):
        await allowed.resolve(parse_did(did.rpartition(":")[0]))


async def test_the_nodes_address_is_https_without_query(host):
    """A node is configured by an HTTPS URL alone."""
    for url in (f"http://{HOST}/", f"https://{HOST}/?a=b"):
        with pytest.raises(ValueError, match="HTTPS"):
            SidetreeNode(host.client, url)
