"""The feed's lag, the loop's, certificates and restarts, as a scrape has them."""

import asyncio
import re
import time
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

from gateway.introspection.feed import RevocationFeed, RevokedItem
from gateway.keys.model import KeyState
from gateway.settings.operation import MetricsSettings
from gateway.telemetry import loop_lag
from gateway.telemetry.certificate_metrics import CertificateMetrics, configured_certificates
from gateway.telemetry.exposition import exposition
from gateway.telemetry.feed_lag import TimedFeedRepository
from gateway.telemetry.loop_lag import measuring_lag
from gateway.tls_files import TlsMaterial
from signers.durations import Histogram
from tests.support.gateway import prepare
from tests.support.pki import Authority
from tests.support.stores import key_record


class Repository:
    """Revocations that a test makes."""

    def __init__(self):
        self.items = []

    def listen(self, listener):
        self.listener = listener

    async def last_number(self):
        return len(self.items)

    async def after(self, number, *, limit):
        return self.items[number : number + limit]

    def revoke(self, at):
        number = len(self.items) + 1
        self.items.append(RevokedItem(number, f"token-{number}", None, at, at + 60))


async def test_the_lag_of_what_is_new():
    """From the revocation to the read; neither history nor a second watcher counts, nor a fast clock."""
    inner, lag, now = Repository(), Histogram(), [1000.0]
    inner.revoke(10.0)
    repository = TimedFeedRepository(inner, lambda: now[0], lag)
    assert await repository.last_number() == 1
    assert len(await repository.after(0, limit=10)) == 1
    assert sum(lag.counts) == 0
    inner.revoke(999.0)
    inner.revoke(999.5)
    for _ in range(2):
        assert len(await repository.after(1, limit=10)) == 2
    assert (sum(lag.counts), lag.seconds) == (1, 0.5)
    inner.revoke(1001.0)
    await repository.after(3, limit=10)
    assert (sum(lag.counts), lag.seconds) == (2, 0.5)


async def test_the_feed_reads_through_it():
    """A watcher gets what it would, and hears what is told."""
    inner, lag = Repository(), Histogram()
    repository = TimedFeedRepository(inner, time.time, lag)
    async with RevocationFeed(repository) as feed, aclosing(feed.watch("")) as batches:
        assert (await anext(batches)).items == ()
        inner.revoke(time.time())
        inner.listener()
        batch = await anext(batches)
    assert [item.token_id for item in batch.items] == ["token-1"]
    assert sum(lag.counts) == 1


async def test_a_loop_that_is_held_up_is_late(monkeypatch):
    """By as long as somebody kept it."""
    monkeypatch.setattr(loop_lag, "INTERVAL", 0.01)
    lag = Histogram()
    async with measuring_lag(lag):
        await asyncio.sleep(0)
        time.sleep(0.2)  # noqa: ASYNC251 - a loop that is blocked is what this is for
        async with asyncio.timeout(10):
            while not lag.seconds:  # noqa: ASYNC110 - nothing tells it
                await asyncio.sleep(0)
    assert lag.seconds > 0.1
    assert not [each for each in asyncio.all_tasks() if each.get_name() == "loop-lag"]


def expiries(collector):
    """The samples of the family, by use and name."""
    text = exposition(collector)().decode()
    found = re.findall(r'not_after_seconds{name="(.*?)",use="(.*?)"} (\S+)', text)
    return {(use, name): float(value) for name, use, value in found}


async def test_certificates_expire(tmp_path):
    """The listeners', as they are now, the client root that is the first, and those of keys that sign."""
    root, other = Authority.root(), Authority.root("Other")
    issued = root.server()
    bundle = other.pem + root.pem
    earliest = min(each.certificate.not_valid_after_utc.timestamp() for each in (root, other))
    material = [TlsMaterial(issued.chain_pem, issued.key_pem, bundle)]
    prepared = await prepare(tmp_path)
    key = prepared.folder / "server.pem"
    keys = [
        {"purpose": "tokens", "algorithm": "ES256", "uri": "file:keys/tokens.pem", "certificate": str(key)}
    ]
    settings = prepared.settings.model_validate(
        prepared.settings.model_dump() | {"keys": keys, "metrics": MetricsSettings()}
    )
    records = [
        key_record("kid-1", chain_pem=issued.chain_pem),
        key_record("kid-2"),
        key_record("kid-3", chain_pem=issued.chain_pem, state=KeyState.DISABLED),
    ]
    collector = CertificateMetrics(lambda: material[0], lambda: records, configured_certificates(settings))
    found = expiries(collector)
    assert found["listener", ""] == issued.certificate.not_valid_after_utc.timestamp()
    assert found["client_root", ""] == earliest
    assert found["key", "tokens ES256"] > datetime.now(UTC).timestamp()
    assert [name for use, name in found if use == "chain"] == ["kid-1"]
    renewed = root.server()
    material[0] = TlsMaterial(renewed.chain_pem, renewed.key_pem, bundle)
    assert expiries(collector)["listener", ""] == renewed.certificate.not_valid_after_utc.timestamp()
    assert timedelta(0) < timedelta(seconds=found["listener", ""] - time.time())
    material[0] = None
    assert ("listener", "") not in expiries(collector)
