"""Our own did-configuration.json, read back by the verifier of everybody's."""

import asyncio

import pytest

from gateway.dids import DID_ALGORITHMS, DidResolver, default_methods, parse_did
from gateway.errors import AvailabilityError, Reason
from gateway.keys.model import KeyPurpose, KeyState
from gateway.presentations.did_configuration import parse_did_configuration
from gateway.presentations.domain_linkage_credential import verify_domain_linkage_credential
from gateway.presentations.linked_domains import LinkedDomains
from gateway.presentations.origins import Origin, parse_origin
from gateway.presentations.own_did import OwnDid
from gateway.presentations.own_linkage import OwnDidConfiguration, issue_domain_linkage_credential
from signers import Algorithm, SignerUnavailableError
from signers.registry import SignerRegistry
from tests.support.dids import SettableClock, TestSigner, web_host
from tests.support.linkage import NOW
from tests.support.own_did import Keys
from tests.support.scripted_server import reply
from tests.support.softhsm import LABELS, softhsm_all

__all__ = ["softhsm_all"]

DID = parse_did("did:web:a.example")
ORIGIN = Origin("a.example")
DAY = 86_400
LINKAGE = KeyPurpose.LINKED_DOMAINS


class Ours:
    """A DID with one linkage key, and its configuration."""

    def __init__(self, signer=None, origins=(ORIGIN,), did=DID, now=NOW, **options):
        self.signer = signer or TestSigner(Algorithm.ES256)
        self.clock = SettableClock(now)
        self.keys = Keys()
        self.key_id = self.keys.put(self.signer, LINKAGE)
        self.own = OwnDid(did, self.keys.keyring, algorithm=self.signer.algorithm, origins=origins)
        self.configuration = OwnDidConfiguration(self.own, origins, clock=self.clock, **options)

    async def resource(self):
        return await self.configuration.resource()

    async def linkage(self, origin=ORIGIN):
        (credential,) = parse_did_configuration(await self.resource()).credentials
        return verify_domain_linkage_credential(
            credential, self.own.document(), origin, now=int(self.clock.now)
        )


@pytest.mark.parametrize("algorithm", sorted(DID_ALGORITHMS))
async def test_what_we_publish_links_us_over_https(algorithm):
    """Our did.json and did-configuration.json, served over HTTPS, resolve and link, in each algorithm."""
    async with web_host() as host:
        did, origin = parse_did(host.did), parse_origin(host.origin)
        ours = Ours(TestSigner(algorithm), [origin], did, now=0)
        ours.configuration = OwnDidConfiguration(ours.own, [origin])
        data = ours.own.document_json()
        host.server.routes["/.well-known/did.json"] = reply(body=data, content_type="application/did+json")
        host.server.routes["/.well-known/did-configuration.json"] = reply(body=await ours.resource())
        document = (await DidResolver(default_methods(host.client)).resolve(host.did)).document
        linkage = await LinkedDomains(host.client).require(document)
        assert (linkage.did, linkage.origin, linkage.method_id) == (
            host.did,
            origin,
            f"{did}#{ours.key_id}",
        )


@pytest.mark.parametrize("algorithm", sorted(DID_ALGORITHMS))
async def test_a_key_in_a_token_links_us(softhsm_all, monkeypatch, algorithm):
    """A credential signed in SoftHSM verifies under the document made of the token's public key."""
    monkeypatch.setenv("SOFTHSM2_CONF", str(softhsm_all.softhsm2_conf))
    async with SignerRegistry() as registry:
        ours = Ours(await registry.open(softhsm_all.uri(LABELS[algorithm]), algorithm))
        linkage = await ours.linkage()
    assert linkage.method_id == f"{DID}#{ours.key_id}"


async def test_our_credential_is_valid_for_its_lifetime():
    """The credential says from when and until when, and the verifier agrees."""
    ours = Ours(TestSigner(Algorithm.EDDSA), lifetime=DAY)
    linkage = await ours.linkage()
    assert (linkage.not_before, linkage.expires) == (NOW, NOW + DAY)


async def test_a_credential_that_is_never_valid_is_not_signed():
    """A lifetime of nothing is a mistake, and the signer is not asked."""
    ours = Ours()
    with pytest.raises(ValueError, match="lifetime"):
        await issue_domain_linkage_credential(ours.own.signing_key(LINKAGE), ORIGIN, now=NOW, lifetime=0)
    assert ours.signer.signed == 0


async def test_the_resource_is_signed_anew_at_half_its_lifetime():
    """Until then every caller gets the same octets, and each origin has its credential."""
    ours = Ours(origins=(ORIGIN, Origin("b.example")), lifetime=DAY)
    first = await ours.resource()
    ours.clock.now += DAY / 2 - 1
    assert await ours.resource() is first
    assert (ours.signer.signed, len(parse_did_configuration(first).credentials)) == (2, 2)
    ours.clock.now += 1
    assert await ours.resource() != first
    assert ours.signer.signed == 4


async def test_another_active_key_signs_at_once():
    """After a rotation the resource is the new key's, although the old key's would still verify."""
    ours = Ours()
    assert (await ours.linkage()).method_id == f"{DID}#{ours.key_id}"
    ours.keys.put(ours.signer, LINKAGE, KeyState.RETIRING)
    new = ours.keys.put(TestSigner(Algorithm.ES256), LINKAGE)
    assert (await ours.linkage()).method_id == f"{DID}#{new}"


async def test_a_new_key_that_cannot_sign_yet_does_not_take_a_valid_resource_away():
    """While the new key's device is down, what the old key signed is given out, as it still verifies."""
    ours = Ours()
    first = await ours.resource()
    ours.keys.put(ours.signer, LINKAGE, KeyState.RETIRING)
    ours.keys.put(TestSigner(Algorithm.ES256, error=SignerUnavailableError("gone")), LINKAGE)
    assert await ours.resource() is first


async def test_a_disabled_key_takes_its_credential_along():
    """What a withdrawn key signed is not given out again, also where nothing can replace it."""
    ours = Ours()
    await ours.resource()
    ours.keys.put(ours.signer, LINKAGE, KeyState.DISABLED)
    with pytest.raises(AvailabilityError) as caught:
        await ours.resource()
    assert caught.value.reason is Reason.NO_ACTIVE_KEY


async def test_nobody_waits_for_a_signature_while_there_is_a_valid_one():
    """While one caller has the resource signed anew, the others get the valid one at once."""
    ours = Ours(lifetime=DAY)
    first = await ours.resource()
    ours.clock.now += DAY / 2
    ours.signer.gate = asyncio.Event()
    renewing = asyncio.create_task(ours.resource())
    await ours.signer.asked.wait()
    assert await ours.resource() is first
    ours.signer.gate.set()
    assert await renewing != first


async def test_a_clock_set_back_signs_anew():
    """A credential that is not valid yet is not given out."""
    ours = Ours(lifetime=DAY)
    first = await ours.resource()
    ours.clock.now -= 10
    assert await ours.resource() != first


async def test_a_signer_that_is_down_does_not_take_a_valid_resource_away():
    """While the signer fails the valid resource is given out until it expires; attempts pause between."""
    ours = Ours(lifetime=DAY, retry_interval=30)
    first = await ours.resource()
    ours.signer.error = SignerUnavailableError("the device is gone")
    ours.clock.now += DAY / 2
    for _ in range(3):
        assert await ours.resource() is first
    assert ours.signer.signed == 2
    ours.clock.now += 30
    assert await ours.resource() is first
    assert ours.signer.signed == 3
    ours.clock.now = NOW + DAY
    with pytest.raises(SignerUnavailableError):
        await ours.resource()
    ours.signer.error = None
    assert await ours.resource() != first


async def test_without_a_resource_a_failing_signer_is_told():
    """The first signature that fails is the caller's to know, and the next call tries again."""
    ours = Ours(TestSigner(Algorithm.ES256, error=SignerUnavailableError("the device is gone")))
    for attempts in (1, 2):
        with pytest.raises(SignerUnavailableError):
            await ours.resource()
        assert ours.signer.signed == attempts


def test_there_is_at_least_one_origin():
    """A configuration for no origin is a mistake."""
    with pytest.raises(ValueError, match="origin"):
        Ours(origins=())
