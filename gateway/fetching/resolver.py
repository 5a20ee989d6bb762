"""DNS, asked by us: addresses of a host, and TXT records for ACME dns-01 (RFC 8555 §8.4).

Names are asked as they are (no search list), over UDP with TCP where an answer was cut, each lookup with a
deadline and a bound on what an answer may hold. The hosts file is not read. A lookup is a coroutine that can
be cancelled; a resolver thread that hangs in libc could not be.
"""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from ipaddress import ip_address
from typing import Final, Protocol

import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.rdata
import dns.rdatatype
import dns.resolver
from dns.rdtypes.ANY.TXT import TXT
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA

from gateway.fetching.addresses import Address
from gateway.fetching.errors import FetchError, FetchFault

MAX_ADDRESSES: Final = 32
MAX_TXT_RECORDS: Final = 64
MAX_TXT_SIZE: Final = 16 * 1024  # octets of all records together


class Resolver(Protocol):
    """Finds the addresses of a host. What it answers is checked by the dialer; a resolver checks nothing."""

    async def addresses(self, host: str) -> tuple[Address, ...]:
        """The addresses of *host*, at least one. Raises `FetchError`: `NAME_NOT_FOUND`, `DNS_FAILED`, ..."""
        ...


class DnsResolver:
    """Asks recursive nameservers: the system's, or *nameservers* as (address, port) pairs.

    *timeout* is in seconds and bounds one lookup with all its retries.
    """

    def __init__(self, nameservers: Sequence[tuple[str, int]] | None = None, *, timeout: float = 4.0) -> None:
        self._resolver = dns.asyncresolver.Resolver(configure=False)
        if nameservers is None:
            # Without a usable resolv.conf every lookup fails; the gateway still starts.
            with contextlib.suppress(dns.resolver.NoResolverConfiguration):
                self._resolver = dns.asyncresolver.Resolver()
        if nameservers is not None:
            self._resolver.nameservers = [
                dns.nameserver.Do53Nameserver(address, port) for address, port in nameservers
            ]
        self._resolver.lifetime = timeout
        self._resolver.timeout = timeout / 2
        self._resolver.cache = (
            None  # Freshness is the caller's rule; a stale address is the attacker's friend.
        )

    async def addresses(self, host: str) -> tuple[Address, ...]:
        """The A and AAAA records of *host*, version 4 first.

        A family whose lookup fails is passed over where the other has addresses: only what was answered is
        ever connected to. Raises `FetchError` with `NAME_NOT_FOUND`, `DNS_FAILED` or `DNS_ANSWER_TOO_LARGE`.
        """
        async with asyncio.TaskGroup() as lookups:  # Ends both lookups, whichever way this block is left.
            old = lookups.create_task(_captured(self._records(host, dns.rdatatype.A)))
            new = lookups.create_task(_captured(self._records(host, dns.rdatatype.AAAA)))
        found: list[Address] = []
        failure: FetchError | None = None
        for outcome in (old.result(), new.result()):
            if isinstance(outcome, FetchError):
                failure = outcome
            else:
                found += [ip_address(each.address) for each in outcome if isinstance(each, A | AAAA)]
        if not found:
            raise failure or FetchError(FetchFault.NAME_NOT_FOUND, "the name has no address", host=host)
        if len(found) > MAX_ADDRESSES:
            raise FetchError(
                FetchFault.DNS_ANSWER_TOO_LARGE, f"more than {MAX_ADDRESSES} addresses", host=host
            )
        return tuple(found)

    async def txt(self, name: str) -> tuple[bytes, ...]:
        """The TXT records of *name* (``_acme-challenge.example.org``), the strings of each joined; maybe
        none.

        Aliases (CNAME) are followed by the nameserver. *name* is ASCII. Raises `FetchError` with
        `HOST_REFUSED`, `DNS_FAILED` or `DNS_ANSWER_TOO_LARGE`.
        """
        records = await self._records(name, dns.rdatatype.TXT)
        texts = tuple(b"".join(each.strings) for each in records if isinstance(each, TXT))
        if len(texts) > MAX_TXT_RECORDS or sum(map(len, texts)) > MAX_TXT_SIZE:
            raise FetchError(FetchFault.DNS_ANSWER_TOO_LARGE, "the TXT records are too large", host=name)
        return texts

    async def _records(self, host: str, kind: dns.rdatatype.RdataType) -> Sequence[dns.rdata.Rdata]:
        try:
            name = dns.name.from_text(host.encode("ascii").decode("ascii"))
        except (dns.exception.DNSException, UnicodeEncodeError) as error:
            raise FetchError(FetchFault.HOST_REFUSED, "not a DNS name") from error
        try:
            answer = await self._resolver.resolve(name, kind, search=False, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            return ()
        except (dns.exception.DNSException, OSError) as error:
            raise FetchError(FetchFault.DNS_FAILED, "no nameserver gave an answer", host=host) from error
        return tuple(answer.rrset) if answer.rrset is not None else ()


async def _captured(
    lookup: Coroutine[None, None, Sequence[dns.rdata.Rdata]],
) -> Sequence[dns.rdata.Rdata] | FetchError:
    """The outcome of *lookup* as a value, so that a task group reports it plainly and not as a group."""
    try:
        return await lookup
    except FetchError as error:
        return error
