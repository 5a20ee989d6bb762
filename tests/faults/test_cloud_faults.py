"""AWS, Google and Azure go wrong under load: what callers see, and when they are served again.

`Load.finish` sees in every test that no call was left without an end, and that no signature was released that
does not verify. tests/signers/kms/test_faults.py has what one call sees. Figures: docs/cloud-kms.md.
"""

import asyncio
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
from tests.support.fault_figures import Outage, record
from tests.support.fault_proxy import FaultProxy, altering, cut_after, cut_before, holding
from tests.support.kms_clouds import CLOUDS
from tests.support.kms_emulators import azure_session, azure_vault, gcp_kms, gcp_session
from tests.support.ministack import aws_environment, aws_keys, aws_user, ministack
from tests.support.signing_load import CALLERS, Load
from tests.support.softhsm import eventually

__all__ = [
    "aws_environment",
    "aws_keys",
    "aws_user",
    "azure_session",
    "azure_vault",
    "gcp_kms",
    "gcp_session",
    "ministack",
]

UNAVAILABLE, TIMED_OUT = SignerUnavailableError.__name__, SignerTimeoutError.__name__
THROTTLED, WITHHELD = SignerThrottledError.__name__, SignatureInvalidError.__name__
UNUSABLE, NOT_FOUND, DENIED = KeyUnusableError.__name__, KeyNotFoundError.__name__, AccessDeniedError.__name__


@pytest.fixture(params=CLOUDS)
async def cloud(request):
    """Each service in turn, behind a proxy."""
    async with CLOUDS[request.param](request) as made:
        yield made


@asynccontextmanager
async def loaded(cloud, **options):
    """Callers that sign without pause; at the end each call has ended, in a signature or a typed error."""
    async with cloud.registry(concurrency=4, **options) as registry:
        signer = await registry.open(cloud.uri, Algorithm.ES256)
        load = Load(signer, expected=(SignerError,))
        await load.more("signed")
        yield load
        await load.finish()


async def fails_until_mended(cloud, load, fault, *outcomes: str, rounds: int = 3) -> list[float]:
    """Every request for a signature meets *fault* until callers saw *outcomes*, several times over."""
    outage, recoveries = Outage(load), []
    for _ in range(rounds):
        cloud.proxy.always = fault
        for outcome in outcomes:
            await load.more(outcome)
        cloud.proxy.always = None
        outage.mended()
        recoveries.append(await outage.recovered())
    return recoveries


async def test_unavailable(cloud):
    """Errors of the service cost calls an outage; callers are served again within a second."""
    async with loaded(cloud) as load:
        recoveries = await fails_until_mended(cloud, load, cloud.unavailable, UNAVAILABLE)
    assert set(load.outcomes) <= {"signed", UNAVAILABLE, TIMED_OUT}
    record(f"{cloud.scheme}: 5xx", load, *recoveries)


@pytest.mark.parametrize("fault", [cut_before, cut_after])
async def test_connections_cut(cloud, fault):
    """Also where the service had signed before the connection broke."""
    async with loaded(cloud) as load:
        recoveries = await fails_until_mended(cloud, load, fault, UNAVAILABLE)
    assert set(load.outcomes) <= {"signed", UNAVAILABLE, TIMED_OUT}
    record(f"{cloud.scheme}: {fault.__name__}", load, *recoveries)


async def test_nobody_answers(cloud):
    """The network is cut, and then mended: refusals at once, and signatures by themselves afterwards."""
    async with loaded(cloud) as load:
        outage, port = Outage(load), cloud.proxy.port
        await cloud.proxy.__aexit__(None, None, None)
        await load.more(UNAVAILABLE)
        async with FaultProxy(upstream=cloud.proxy.upstream, port=port):
            outage.mended()
            recovery = await outage.recovered()
            await load.finish()
    assert set(load.outcomes) <= {"signed", UNAVAILABLE, TIMED_OUT}
    record(f"{cloud.scheme}: network cut, mended", load, recovery)


async def test_late_answers(cloud):
    """Answers that come after the time limit are nobody's; in time again, each caller gets its own."""
    release = asyncio.Event()
    async with loaded(cloud, timeout=1, attempt_timeout=0.3) as load:
        recoveries = await fails_until_mended(cloud, load, holding(release), TIMED_OUT, rounds=1)
        release.set()
    assert set(load.outcomes) <= {"signed", UNAVAILABLE, TIMED_OUT}
    record(f"{cloud.scheme}: late answers", load, *recoveries)


async def test_throttling_bursts(cloud):
    """Each burst costs calls a refusal with the time to wait; afterwards they are served."""
    async with loaded(cloud, budget_wait=0) as load:
        recoveries = await fails_until_mended(cloud, load, cloud.throttled, THROTTLED)
    assert set(load.outcomes) == {"signed", THROTTLED}
    record(f"{cloud.scheme}: throttling bursts", load, *recoveries)


@pytest.mark.parametrize("change", ["corrupt", "other_key"])
async def test_wrong_signatures(cloud, change):
    """A signature that is corrupted, or said to be by another key, is withheld from every caller."""
    async with loaded(cloud) as load:
        recoveries = await fails_until_mended(cloud, load, altering(getattr(cloud, change)), WITHHELD)
    assert set(load.outcomes) == {"signed", WITHHELD}
    record(f"{cloud.scheme}: {change}", load, *recoveries)


async def test_disabled_and_enabled(cloud):
    """Callers are told so; enabled again, the key signs without anybody's help."""
    async with loaded(cloud) as load:
        outage = Outage(load)
        await asyncio.to_thread(cloud.disable)
        await load.more(UNUSABLE)
        await asyncio.to_thread(cloud.enable)
        outage.mended()
        recovery = await outage.recovered()
    assert set(load.outcomes) == {"signed", UNUSABLE}
    record(f"{cloud.scheme}: disabled, enabled", load, recovery)


def refused(load) -> int:
    """Calls that were told that the key cannot be used, or is gone."""
    return load.outcomes[UNUSABLE] + load.outcomes[NOT_FOUND]


async def test_deleted(cloud):
    """For good: every call says so."""
    async with loaded(cloud) as load:
        await asyncio.to_thread(cloud.delete)
        await eventually(lambda: refused(load) > CALLERS)
        signed, before = load.outcomes["signed"], refused(load)
        await eventually(lambda: refused(load) > before)
        # Of 4 requests under way, one was refused; the others may have been signed before.
        assert load.outcomes["signed"] - signed <= 3
    assert set(load.outcomes) - {"signed"} <= {UNUSABLE, NOT_FOUND}
    record(f"{cloud.scheme}: deleted", load)


async def test_permission_withdrawn(cloud):
    """Callers are told what the service said, for as long as it says so."""
    async with loaded(cloud) as load:
        await asyncio.to_thread(cloud.deny)
        await load.more(DENIED)
    assert set(load.outcomes) == {"signed", DENIED}
    record(f"{cloud.scheme}: permission withdrawn", load)
