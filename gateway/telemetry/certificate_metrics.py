"""When certificates expire that somebody has to renew."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cryptography import x509
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from gateway.config import Settings
from gateway.keys.model import KeyRecord, KeyState
from gateway.telemetry import families
from gateway.tls_files import TlsMaterial

LISTENER: Final = "listener"
CLIENT_ROOT: Final = "client_root"
ISSUING_CA: Final = "issuing_ca"
KEY: Final = "key"
CHAIN: Final = "chain"


@dataclass(frozen=True, slots=True)
class Expiry:
    """A certificate of the configuration; *not_after* in seconds since the epoch."""

    use: str
    name: str
    not_after: float


class CertificateMetrics(Collector):
    """*listeners* gives what the listeners use now, *keys* the keys with the chains that were imported for
    them; *configured* is what was read at the start.
    """

    def __init__(
        self,
        listeners: Callable[[], TlsMaterial | None],
        keys: Callable[[], Sequence[KeyRecord]],
        configured: Sequence[Expiry],
    ) -> None:
        self._listeners = listeners
        self._keys = keys
        self._configured = configured

    def collect(self) -> Iterator[Metric]:
        """The family as it is now."""
        family = families.CERTIFICATE_NOT_AFTER.samples()
        material = self._listeners()
        if material is not None:
            family.add((LISTENER, ""), _first(material.chain))
            family.add((CLIENT_ROOT, ""), _earliest(material.client_ca))
        for each in self._configured:
            family.add((each.use, each.name), each.not_after)
        for record in self._keys():
            if record.signs and record.state is not KeyState.RETIRING and record.chain_pem:
                family.add((CHAIN, record.key_id), _first(record.chain_pem))
        yield family.metric


def configured_certificates(settings: Settings) -> list[Expiry]:
    """The certificates that keys and provisioners are configured with, all of them read before. Blocks."""
    found = [
        Expiry(ISSUING_CA, each.name, _first(settings.path(each.chain).read_bytes()))
        for each in settings.provisioners
        if each.chain is not None
    ]
    found += [
        Expiry(KEY, f"{each.purpose} {each.algorithm}", _first(settings.path(each.certificate).read_bytes()))
        for each in settings.keys
        if each.certificate is not None
    ]
    return found


@lru_cache(maxsize=64)
def _first(chain: bytes) -> float:
    return x509.load_pem_x509_certificates(chain)[0].not_valid_after_utc.timestamp()


@lru_cache(maxsize=4)
def _earliest(bundle: bytes) -> float:
    return min(each.not_valid_after_utc.timestamp() for each in x509.load_pem_x509_certificates(bundle))
