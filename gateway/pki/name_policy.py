"""Which names a profile certifies. Nothing is permitted that is not listed."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from cryptography import x509

from gateway.pki.issuance_errors import RequestError, RequestFault
from gateway.pki.name_text import require_name_text
from gateway.pki.names import DistinguishedName
from gateway.pki.requested_names import name_count, requested_names

ACCEPTED_ENTRIES = 128
"""Names accepted lately, of at most `requested_names.MAX_NAMES` each."""
ANY_DOMAIN = "*"
"""Permits every domain, written out so that nobody permits it by leaving a list empty."""

# Upper bounds of X.520 attributes, in characters. SOURCE: RFC 5280 Appendix A.1.
_UPPER_BOUNDS = {
    "2.5.4.3": 64,  # CN
    "2.5.4.5": 64,  # serialNumber
    "2.5.4.6": 2,  # C
    "2.5.4.7": 128,  # L
    "2.5.4.8": 128,  # ST
    "2.5.4.10": 64,  # O
    "2.5.4.11": 64,  # OU
    "2.5.4.12": 64,  # title
}


@dataclass(frozen=True, slots=True)
class NamePolicy:
    """The names that a profile permits.

    - *subject_types*: dotted OIDs of the attributes that a subject may have; *required_types* must be there.
    - *organizations*: the only values of O; None leaves O to whoever authorized the order.
    - *dns_domains*, *email_domains*: each a domain in lower case, which covers itself and everything below
      it, or `ANY_DOMAIN`. *excluded_domains* take precedence in both.
    - *wildcards*: whether a DNS name may start with ``*.``.
    - *uri_schemes*: in lower case. *ip_networks*: networks that an address must be in.
    - *minimum_names* and *maximum_names*: how many subject alternative names a certificate has.
    """

    subject_types: frozenset[str] = frozenset()
    required_types: frozenset[str] = frozenset()
    organizations: frozenset[str] | None = None
    dns_domains: tuple[str, ...] = ()
    email_domains: tuple[str, ...] = ()
    excluded_domains: tuple[str, ...] = ()
    wildcards: bool = False
    uri_schemes: frozenset[str] = frozenset()
    ip_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    minimum_names: int = 1
    maximum_names: int = 100

    def require(self, subject: DistinguishedName, names: Iterable[x509.GeneralName]) -> None:
        """*subject* and *names* are permitted.

        Raises `RequestError` with `NAME_REFUSED`, `SUBJECT_MISMATCH`, `MISSING_SAN`, `TOO_MANY_NAMES`, or a
        fault of `require_name_text` or `requested_names`.
        """
        _accepted(self, subject, tuple(names))

    def check(self, subject: DistinguishedName, names: tuple[x509.GeneralName, ...]) -> None:
        """`require`, without a look at what was accepted before."""
        self._require_subject(subject)
        typed = requested_names(names)
        count = name_count(typed)
        if count < self.minimum_names:
            raise RequestError(RequestFault.MISSING_SAN, f"fewer than {self.minimum_names} names")
        if count > self.maximum_names:
            raise RequestError(RequestFault.TOO_MANY_NAMES, f"more than {self.maximum_names} names")
        for name in typed.dns:
            self._require_domain(name, self.dns_domains)
        for address in typed.email:
            self._require_domain(address.rpartition("@")[2], self.email_domains)
        for uri in typed.uri:
            if uri.partition(":")[0].lower() not in self.uri_schemes:
                raise RequestError(RequestFault.NAME_REFUSED, "the profile does not permit the URI's scheme")
        for ip in typed.ip:
            self._require_address(ip)

    def _require_subject(self, subject: DistinguishedName) -> None:
        present = set()
        for rdn in subject.rdns:
            for attribute in rdn:
                present.add(attribute.oid)
                if attribute.oid not in self.subject_types or not isinstance(attribute.value, str):
                    raise RequestError(
                        RequestFault.NAME_REFUSED, f"the profile does not permit {attribute.oid} in a subject"
                    )
                require_name_text(attribute.value, maximum=_UPPER_BOUNDS.get(attribute.oid, 256))
        if not self.required_types <= present:
            raise RequestError(RequestFault.SUBJECT_MISMATCH, "the subject lacks a required attribute")
        organizations = subject.values("2.5.4.10")
        if self.organizations is not None and not self.organizations.issuperset(organizations):
            raise RequestError(RequestFault.NAME_REFUSED, "the profile does not permit the organization")

    def _require_domain(self, name: str, permitted: tuple[str, ...]) -> None:
        wildcard = name.startswith("*.")
        if wildcard and not self.wildcards:
            raise RequestError(RequestFault.NAME_REFUSED, "the profile does not permit wildcards")
        domain = name.removeprefix("*.")
        # A wildcard stands for names below its domain, so it is excluded with any of them.
        if any(
            _is_within(domain, excluded) or (wildcard and _is_within(excluded, domain))
            for excluded in self.excluded_domains
        ):
            raise RequestError(RequestFault.NAME_REFUSED, "the profile excludes the domain")
        if not any(_is_within(domain, each) for each in permitted):
            raise RequestError(RequestFault.NAME_REFUSED, "the profile does not permit the domain")

    def _require_address(self, ip: IPv4Address | IPv6Address) -> None:
        if not any(ip in network for network in self.ip_networks):
            raise RequestError(RequestFault.NAME_REFUSED, "the profile does not permit the address")


@lru_cache(maxsize=ACCEPTED_ENTRIES)
def _accepted(policy: NamePolicy, subject: DistinguishedName, names: tuple[x509.GeneralName, ...]) -> None:
    """Returns where *policy* permits the names. They are checked when ordered and twice when issued."""
    policy.check(subject, names)


def _is_within(domain: str, base: str) -> bool:
    return base in (ANY_DOMAIN, domain) or domain.endswith(f".{base}")
