"""Every path of a provisioner's ACME door."""

from functools import partial
from typing import Final

from gateway.config import ConfigurationError
from gateway.edge.acme_accounts import (
    AccountEndpoint,
    AccountOrdersEndpoint,
    KeyChangeEndpoint,
    NewAccountEndpoint,
)
from gateway.edge.acme_certificates import CertificateEndpoint, RenewalInfoEndpoint, RevokeCertificateEndpoint
from gateway.edge.acme_challenges import ChallengeEndpoint
from gateway.edge.acme_directory import DirectoryEndpoint, NewNonceEndpoint
from gateway.edge.acme_door import AcmeDoor
from gateway.edge.acme_orders import AuthorizationEndpoint, FinalizeEndpoint, NewOrderEndpoint, OrderEndpoint
from gateway.edge.acme_requests import MAX_BODY
from gateway.edge.acme_status import MAX_OCSP, CrlEndpoint, OcspEndpoint
from gateway.edge.exchange import Endpoint, Route
from gateway.enrollment.core import Enrollment
from gateway.enrollment.domain_validation import DEADLINE

_READ: Final = frozenset({"GET", "HEAD"})
_POST: Final = frozenset({"POST"})
_VALIDATION: Final = DEADLINE + 10.0
"""Seconds for an answer to a challenge: a validation that takes all of its time still gets its verdict."""


def acme_routes(enrollment: Enrollment | None) -> list[Route]:
    """The routes of all provisioners; none without enrollment.

    Raises `ConfigurationError` where two provisioners have one path: the edge serves one origin.
    """
    if enrollment is None:
        return []
    doors = [AcmeDoor(enrollment, each) for each in enrollment.provisioners.all]
    if len({door.path for door in doors}) != len(doors):
        raise ConfigurationError("provisioners.url: two have one path; give each a path of its own.")
    return [route for door in doors for route in _of(door)]


def _of(door: AcmeDoor) -> list[Route]:
    """Nobody is asked for a role: each request proves the key that it is about, or is open to everybody."""
    route = partial(Route, policy=None, refuse=door.refuse)
    ocsp = OcspEndpoint(door)
    read: dict[str, Endpoint] = {
        "/directory": DirectoryEndpoint(door),
        "/new-nonce": NewNonceEndpoint(door),
        "/renewal-info/{certificate}": RenewalInfoEndpoint(door),
        "/crl": CrlEndpoint(door),
        "/ocsp/{+request}": ocsp,
    }
    signed: dict[str, Endpoint] = {
        "/new-account": NewAccountEndpoint(door),
        "/account/{account}": AccountEndpoint(door),
        "/account/{account}/orders": AccountOrdersEndpoint(door),
        "/key-change": KeyChangeEndpoint(door),
        "/new-order": NewOrderEndpoint(door),
        "/order/{order}": OrderEndpoint(door),
        "/order/{order}/finalize": FinalizeEndpoint(door),
        "/authz/{authorization}": AuthorizationEndpoint(door),
        "/certificate/{certificate}": CertificateEndpoint(door),
        "/revoke-cert": RevokeCertificateEndpoint(door),
    }
    return [
        *(route(door.path + path, _READ, endpoint) for path, endpoint in read.items()),
        *(route(door.path + path, _POST, endpoint, max_body=MAX_BODY) for path, endpoint in signed.items()),
        route(
            f"{door.path}/challenge/{{authorization}}/{{challenge}}",
            _POST,
            ChallengeEndpoint(door),
            max_body=MAX_BODY,
            deadline=_VALIDATION,
        ),
        route(f"{door.path}/ocsp", _POST, ocsp, max_body=MAX_OCSP),
    ]
