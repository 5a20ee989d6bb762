"""Every path of presentations at the edge."""

from functools import partial
from typing import Final
from urllib.parse import urlsplit

from gateway.dids import did_web_url
from gateway.edge.exchange import Route
from gateway.edge.presentation_documents import DidConfigurationEndpoint, DidDocumentEndpoint
from gateway.edge.presentation_page import page_routes
from gateway.edge.presentation_requests import (
    MAX_RESPONSE_BODY,
    QrEndpoint,
    RequestObjectEndpoint,
    ResponseEndpoint,
)
from gateway.presentations.core import Presentations
from gateway.presentations.linked_domains import WELL_KNOWN_PATH
from gateway.presentations.origins import parse_origin
from gateway.presentations.own_did import OwnDid
from gateway.presentations.qr import qr_png, qr_svg

REQUEST_PATH: Final = "/presentations/requests"
RESPONSE_PATH: Final = "/presentations/response"
_SERVICE: Final = "/countersign.v1.PresentationService"
_METADATA: Final = "/countersign.v1.TokenService/GetServerMetadata"
_VERIFICATION: Final = 10.0
"""Seconds for an answer beyond those that verifying it may take."""


def presentation_routes(
    presentations: Presentations,
    *,
    public_url: str,
    max_age: int,
    deadline: float,
    demo_page: bool = False,
) -> list[Route]:
    """What wallets call, and what the world reads of our DID.

    *public_url*: of the edge. *max_age*: seconds that readers may keep the documents. *deadline*: seconds
    that verifying an answer may take. *demo_page*: with the page of development.
    """
    # HEAD is refused where reading changes something, or would only cost.
    read = partial(Route, methods=frozenset({"GET"}), policy=None, like=f"{_SERVICE}/GetRequestObject")
    published = partial(Route, methods=frozenset({"GET", "HEAD"}), policy=None, like=_METADATA)
    one = f"{REQUEST_PATH}/{{request}}"
    requests = presentations.requests
    routes = [
        read(one, endpoint=RequestObjectEndpoint(requests)),
        read(f"{one}/qr.svg", endpoint=QrEndpoint(requests, qr_svg, "image/svg+xml")),
        read(f"{one}/qr.png", endpoint=QrEndpoint(requests, qr_png, "image/png")),
        Route(
            RESPONSE_PATH,
            frozenset({"POST"}),
            ResponseEndpoint(presentations.submissions),
            policy=None,
            max_body=MAX_RESPONSE_BODY,
            deadline=deadline + _VERIFICATION,
            like=f"{_SERVICE}/SubmitPresentation",
        ),
    ]
    path = document_path(presentations.own_did, public_url)
    if path is not None:
        routes.append(published(path, endpoint=DidDocumentEndpoint(presentations.own_did, max_age)))
    if presentations.own_linkage is not None:
        endpoint = DidConfigurationEndpoint(presentations.own_linkage, max_age)
        routes.append(published(WELL_KNOWN_PATH, endpoint=endpoint))
    if demo_page:
        routes += page_routes(requests, sorted(presentations.verifiers.by_name))
    return routes


def document_path(own: OwnDid, public_url: str) -> str | None:
    """Where the edge serves the document of *own*; None where it is no did:web of the edge's origin."""
    if own.did.method != "web":
        return None
    parts = urlsplit(did_web_url(own.did))
    if parse_origin(f"https://{parts.netloc}") != parse_origin(public_url):
        return None
    return parts.path
