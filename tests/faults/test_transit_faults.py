"""Transit goes wrong under load: for each fault, what callers see, and when they are served again.

`Load.finish` sees in every test that no call was left without an end, and that no signature was released that
does not verify. Figures: docs/kms.md.
"""

import asyncio
import os
import re
from contextlib import asynccontextmanager

import pytest

from signers import (
    AccessDeniedError,
    Algorithm,
    KeyNotFoundError,
    KeyUnusableError,
    SignatureInvalidError,
    SignerError,
    SignerThrottledError,
    SignerTimeoutError,
    SignerUnavailableError,
)
from signers.registry import SignerRegistry
from signers.remote.options import RemoteOptions
from tests.support.fault_figures import Outage, record
from tests.support.signing_load import Load
from tests.support.tls_proxy import TlsProxy

KEY = "ecdsa-p256"
OUTAGE = {"SignerUnavailableError", "SignerTimeoutError"}


@asynccontextmanager
async def loaded(uri, **options):
    """Callers that sign with the key of *uri*; at the end each call has ended, with what it was to end in."""
    async with SignerRegistry(remote={"vault": RemoteOptions(concurrency=4, **options)}) as registry:
        signer = await registry.open(uri, Algorithm.ES256)
        load = Load(signer, expected=(SignerError,))
        await load.more("signed")
        yield load
        await load.finish()


@pytest.fixture
async def proxy(openbao):
    async with TlsProxy(openbao.port, openbao.authority) as made:
        yield made


@pytest.fixture
def name(openbao):
    """A key of the test's own, on the server of all tests."""
    name = f"fault-{os.urandom(4).hex()}"
    openbao.create_key(name)
    return name


async def test_sealed_and_unsealed(own_openbao):
    """Sealed, the server costs each call an outage; unsealed, it is used again within a second."""
    async with loaded(own_openbao.uri(KEY, **own_openbao.app_role())) as load:
        outage, recoveries = Outage(load), []
        for _ in range(3):
            await asyncio.to_thread(own_openbao.seal)
            await load.more("SignerUnavailableError")
            await asyncio.sleep(0.5)
            await asyncio.to_thread(own_openbao.unseal)
            outage.mended()
            recoveries.append(await outage.recovered())
    assert set(load.outcomes) - {"signed"} <= OUTAGE
    assert max(recoveries) < 1
    record("sealed, unsealed", load, *recoveries)


async def test_killed_and_restarted(own_openbao):
    """Killed and started again, the server is used again within a second of its being active."""
    async with loaded(own_openbao.uri(KEY, **own_openbao.app_role())) as load:
        outage, recoveries = Outage(load), []
        for _ in range(3):
            own_openbao.kill()
            await load.more("SignerUnavailableError")
            await asyncio.to_thread(own_openbao.start)
            await asyncio.to_thread(own_openbao.unseal)
            outage.mended()
            recoveries.append(await outage.recovered())
    assert set(load.outcomes) - {"signed"} <= OUTAGE
    assert max(recoveries) < 1
    record("killed, restarted", load, *recoveries)


async def test_stopped_and_resumed(own_openbao):
    """A server that hangs costs its callers time-outs, then refusals at once; resumed, it is used again."""
    uri = own_openbao.uri(KEY, **own_openbao.app_role())
    async with loaded(uri, timeout=2, attempt_timeout=0.3) as load:
        outage = Outage(load)
        own_openbao.stop()
        await load.more("SignerTimeoutError")
        await load.more("SignerUnavailableError")
        own_openbao.resume()
        outage.mended()
        recovery = await outage.recovered()
    assert set(load.outcomes) - {"signed"} <= OUTAGE
    assert recovery < 2
    record("hung, resumed", load, recovery)


async def test_token_revoked_with_a_login(own_openbao):
    """Where the gateway logs in by itself, no caller sees that its token was revoked."""
    async with loaded(own_openbao.uri(KEY, **own_openbao.app_role())) as load:
        for _ in range(3):
            await asyncio.to_thread(own_openbao.call, "POST", "sys/leases/revoke-prefix/auth/approle/login")
            await asyncio.sleep(1.2)
            await load.more("signed")
    assert set(load.outcomes) == {"signed"}
    record("token revoked (AppRole)", load)


async def test_token_revoked_in_a_file(openbao):
    """With a token from a file callers are denied, until there is another in the file."""
    path = openbao.token_file("fault-token")
    async with loaded(openbao.uri(KEY, token_source=f"file:{path}")) as load:
        outage = Outage(load)
        await asyncio.to_thread(openbao.call, "POST", "auth/token/revoke", {"token": path.read_text()})
        await load.more("AccessDeniedError")
        await asyncio.to_thread(openbao.token_file, "fault-token")
        outage.mended()
        recovery = await outage.recovered()
    assert set(load.outcomes) == {"signed", AccessDeniedError.__name__}
    assert recovery < 2
    record("token revoked (file)", load, recovery)


async def test_token_expired_with_a_login(own_openbao):
    """Tokens that may live for three seconds are replaced in time, and no caller sees one expire."""
    own_openbao.call(
        "POST",
        "auth/approle/role/signer",
        {"token_policies": ["signer"], "token_ttl": "3s", "token_max_ttl": "3s"},
    )
    async with loaded(own_openbao.uri(KEY, **own_openbao.app_role())) as load:
        await asyncio.sleep(7)
        await load.more("signed")
    assert set(load.outcomes) == {"signed"}
    record("token expired (AppRole)", load)


async def test_token_expired_in_a_file(openbao):
    """A token from a file that may not be prolonged ends, and the next one in the file is used."""
    path = openbao.token_file("short-token", ttl="2s", explicit_max_ttl="2s")
    async with loaded(openbao.uri(KEY, token_source=f"file:{path}")) as load:
        outage = Outage(load)
        await load.more("AccessDeniedError")
        await asyncio.to_thread(openbao.token_file, "short-token")
        outage.mended()
        recovery = await outage.recovered()
    assert set(load.outcomes) == {"signed", AccessDeniedError.__name__}
    assert recovery < 2
    record("token expired (file)", load, recovery)


async def test_key_rotated(openbao, name):
    """A rotation at the server changes nothing for callers: they sign with the version that was opened."""
    async with loaded(openbao.uri(name, **openbao.app_role("rotated"))) as load:
        for _ in range(5):
            await asyncio.to_thread(openbao.rotate, name)
            await load.more("signed")
    assert set(load.outcomes) == {"signed"}
    record("key rotated", load)


async def test_key_deleted(openbao, name):
    """A deleted key is said to be missing, by every call from then on."""
    async with loaded(openbao.uri(name, **openbao.app_role("deleted"))) as load:
        await asyncio.to_thread(openbao.delete_key, name)
        await load.more("KeyNotFoundError")
        signed = load.outcomes["signed"]
        await load.more("KeyNotFoundError")
        assert load.outcomes["signed"] == signed
    assert set(load.outcomes) == {"signed", KeyNotFoundError.__name__}
    record("key deleted", load)


async def test_key_replaced(openbao, name):
    """Another key under the name of the one that was opened signs, and none of its signatures is released."""
    async with loaded(openbao.uri(name, **openbao.app_role("replaced"))) as load:
        await asyncio.to_thread(openbao.delete_key, name)
        await asyncio.to_thread(openbao.create_key, name)
        await load.more("SignatureInvalidError")
        signed = load.outcomes["signed"]
        await load.more("SignatureInvalidError")
        assert load.outcomes["signed"] == signed
    assert set(load.outcomes) <= {"signed", KeyNotFoundError.__name__, SignatureInvalidError.__name__}
    record("key replaced", load)


async def test_version_disabled_and_enabled(openbao, name):
    """A version that is disabled signs no more; enabled again, it signs at once."""
    async with loaded(openbao.uri(name, **openbao.app_role("disabled"))) as load:
        outage = Outage(load)
        await asyncio.to_thread(openbao.rotate, name)
        await asyncio.to_thread(openbao.configure_key, name, min_encryption_version=2)
        await load.more("KeyUnusableError")
        await asyncio.to_thread(openbao.configure_key, name, min_encryption_version=0)
        outage.mended()
        recovery = await outage.recovered()
    assert set(load.outcomes) == {"signed", KeyUnusableError.__name__}
    assert recovery < 1
    record("version disabled, enabled", load, recovery)


async def test_network_cut(openbao, proxy):
    """While nothing passes, callers get time-outs and then refusals at once; mended, it is used again."""
    uri = openbao.uri(KEY, address=proxy.address, **openbao.app_role("cut"))
    async with loaded(uri, timeout=2, attempt_timeout=0.3) as load:
        outage, recoveries = Outage(load), []
        for _ in range(3):
            proxy.cut()
            await load.more("SignerTimeoutError")
            await load.more("SignerUnavailableError")
            proxy.mend()
            outage.mended()
            recoveries.append(await outage.recovered())
    assert set(load.outcomes) - {"signed"} <= OUTAGE
    assert max(recoveries) < 2
    record("network cut, mended", load, *recoveries)


async def test_connections_reset(openbao, proxy):
    """Connections that break are made anew, and no caller sees it."""
    uri = openbao.uri(KEY, address=proxy.address, **openbao.app_role("reset"))
    async with loaded(uri) as load:
        for _ in range(10):
            proxy.reset()
            await load.more("signed")
            # A call may be made three times; it is not broken more often than that.
            await asyncio.sleep(0.5)
    assert set(load.outcomes) == {"signed"}
    record("connections reset", load)


async def test_late_answers(openbao, proxy):
    """Answers that come after the time limit are nobody's; in time again, each caller gets its own."""
    uri = openbao.uri(KEY, address=proxy.address, **openbao.app_role("late"))
    async with loaded(uri, timeout=1, attempt_timeout=0.2) as load:
        outage = Outage(load)
        proxy.delay = 0.4
        await load.more("SignerTimeoutError")
        proxy.delay = 0.0
        outage.mended()
        recovery = await outage.recovered()
    assert set(load.outcomes) - {"signed"} <= OUTAGE
    assert recovery < 2
    record("late answers", load, recovery)


def corrupted(part):
    """Another character in every signature."""
    swap = {b"A": b"B"}
    return re.sub(rb"(vault:v1:.{40})(.)", lambda found: found[1] + swap.get(found[2], b"A"), part)


def by_another_version(part):
    return part.replace(b"vault:v1:", b"vault:v2:")


def of_the_first(part):
    """The first signature of a batch in the place of each that is as long."""
    found = re.findall(rb"vault:v1:[^\"]+", part)
    for other in found[1:]:
        if len(other) == len(found[0]):
            part = part.replace(other, found[0])
    return part


@pytest.mark.parametrize("alter", [corrupted, by_another_version])
async def test_wrong_signatures(openbao, proxy, alter):
    """A signature that is corrupted, or by another version, is withheld; every call says so."""
    uri = openbao.uri(KEY, address=proxy.address, **openbao.app_role(f"wrong-{alter.__name__}"))
    async with loaded(uri) as load:
        outage = Outage(load)
        proxy.alter = alter
        await load.more("SignatureInvalidError")
        signed = load.outcomes["signed"]
        await load.more("SignatureInvalidError")
        assert load.outcomes["signed"] == signed
        proxy.alter = bytes
        outage.mended()
        recovery = await outage.recovered()
    assert set(load.outcomes) == {"signed", SignatureInvalidError.__name__}
    assert recovery < 1
    record(f"signatures {alter.__name__.replace('_', ' ')}", load, recovery)


async def test_signatures_of_others(openbao, proxy):
    """In a batch, a signature over another caller's message is withheld from whom it does not belong to."""
    uri = openbao.uri(KEY, address=proxy.address, **openbao.app_role("others"))
    async with loaded(uri) as load:
        proxy.alter = of_the_first
        await load.more("SignatureInvalidError")
        await load.more("signed")
        proxy.alter = bytes
        await load.more("signed")
    assert set(load.outcomes) == {"signed", SignatureInvalidError.__name__}
    record("signatures of other messages", load)


async def test_throttling_bursts(own_openbao):
    """A server that limits the rate costs calls a refusal with its time, and the rest are served."""
    async with loaded(own_openbao.uri(KEY, **own_openbao.app_role())) as load:
        outage, recoveries = Outage(load), []
        for _ in range(3):
            limit = {"path": "transit", "rate": 5, "interval": "1s"}
            await asyncio.to_thread(own_openbao.call, "POST", "sys/quotas/rate-limit/burst", limit)
            await load.more("SignerThrottledError")
            await asyncio.to_thread(own_openbao.call, "DELETE", "sys/quotas/rate-limit/burst")
            outage.mended()
            recoveries.append(await outage.recovered())
    assert set(load.outcomes) == {"signed", SignerThrottledError.__name__}
    assert max(recoveries) < 2
    record("throttling bursts", load, *recoveries)


async def test_absent_at_start(own_openbao):
    """Without the server opening a key fails in a time, and succeeds when it is there."""
    login = own_openbao.app_role()
    own_openbao.kill()
    async with SignerRegistry() as registry:
        with pytest.raises((SignerUnavailableError, SignerTimeoutError)):
            await registry.open(own_openbao.uri(KEY, **login), Algorithm.ES256)
        await asyncio.to_thread(own_openbao.start)
        with pytest.raises(SignerUnavailableError, match="sealed"):
            await registry.open(own_openbao.uri(KEY, **login), Algorithm.ES256)
        await asyncio.to_thread(own_openbao.unseal)
        await asyncio.sleep(0.6)
        await (await registry.open(own_openbao.uri(KEY, **login), Algorithm.ES256)).check()
