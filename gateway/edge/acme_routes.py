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
from gateway.edge.acme_status import MAX_OCSP, CrlEndpoint, IssuerEndpoint, OcspEndpoint
from gateway.edge.exchange import Endpoint, Route
from gateway.enrollment.core import Enrollment
from gateway.enrollment.domain_validation import DEADLINE

_READ: Final = frozenset({"GET", "HEAD"})
_POST: Final = frozenset({"POST"})
_SERVICE: Final = "/countersign.v1.EnrollmentService"
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
    ocsp, ocsp_like = OcspEndpoint(door), f"{_SERVICE}/GetOcspResponse"
    read: dict[str, tuple[Endpoint, str]] = {
        "/directory": (DirectoryEndpoint(door), "ListProvisioners"),
        "/new-nonce": (NewNonceEndpoint(door), "CreateNonce"),
        "/renewal-info/{certificate}": (RenewalInfoEndpoint(door), "GetRenewalInfo"),
        "/crl": (CrlEndpoint(door), "GetCertificateRevocationList"),
        "/crl/{issuer}": (CrlEndpoint(door), "GetCertificateRevocationList"),
        "/ca/{issuer}": (IssuerEndpoint(door), "ListProvisioners"),
    }
    signed: dict[str, tuple[Endpoint, str]] = {
        "/new-account": (NewAccountEndpoint(door), "CreateAccount"),
        "/account/{account}": (AccountEndpoint(door), "UpdateAccount"),
        "/account/{account}/orders": (AccountOrdersEndpoint(door), "ListOrders"),
        "/key-change": (KeyChangeEndpoint(door), "RolloverAccountKey"),
        "/new-order": (NewOrderEndpoint(door), "CreateOrder"),
        "/order/{order}": (OrderEndpoint(door), "GetOrder"),
        "/order/{order}/finalize": (FinalizeEndpoint(door), "FinalizeOrder"),
        "/authz/{authorization}": (AuthorizationEndpoint(door), "GetAuthorization"),
        "/certificate/{certificate}": (CertificateEndpoint(door), "GetCertificate"),
        "/revoke-cert": (RevokeCertificateEndpoint(door), "RevokeCertificate"),
    }
    return [
        *(
            route(door.path + path, _READ, endpoint, like=f"{_SERVICE}/{method}")
            for path, (endpoint, method) in read.items()
        ),
        *(
            route(door.path + path, _POST, endpoint, max_body=MAX_BODY, like=f"{_SERVICE}/{method}")
            for path, (endpoint, method) in signed.items()
        ),
        route(
            f"{door.path}/challenge/{{authorization}}/{{challenge}}",
            _POST,
            ChallengeEndpoint(door),
            max_body=MAX_BODY,
            deadline=_VALIDATION,
            like=f"{_SERVICE}/AnswerChallenge",
        ),
        route(f"{door.path}/ocsp/{{+request}}", _READ, ocsp, like=ocsp_like),
        route(f"{door.path}/ocsp", _POST, ocsp, max_body=MAX_OCSP, like=ocsp_like),
    ]
