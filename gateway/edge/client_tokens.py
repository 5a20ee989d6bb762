"""The paths at which a Wire backend serves its devices: a nonce, and the access token for wire-dpop-01.

They are for backends that put the gateway behind their own paths: the caller has the role enroller, and says
in the query or the JSON body what it knows of its user's device. A device itself proves only its key, so
nobody is told who it is by the device alone.
"""

import json
from typing import Final

from starlette.responses import Response

from gateway.edge.exchange import EdgeRequest, Route
from gateway.edge.form import form_decoded
from gateway.edge.oauth_errors import NO_STORE, HttpError
from gateway.enrollment.client_access_token import LIFETIME
from gateway.enrollment.minter import ClientTokenMinter, ClientTokenRequest
from gateway.enrollment.wire_names import ClientUri, WireNameError
from gateway.errors import Reason, RequestError
from gateway.jose.errors import JoseError
from gateway.jose.jwt import Claims

MAX_BODY: Final = 8 * 1024
"""Octets."""
_SERVICE: Final = "/countersign.v1.TokenService"
_CLIENT_ID: Final = "client_id"


def client_token_routes(minter: ClientTokenMinter | None) -> list[Route]:
    """The routes; none where the minter is off."""
    if minter is None:
        return []
    nonce = ClientNonceEndpoint(minter)
    read = frozenset({"GET", "HEAD"})
    policy = f"{_SERVICE}/CreateClientNonce"
    return [
        Route("/clients/token/nonce", read, nonce, policy),
        Route("/clients/{device}/nonce", read, nonce, policy),
        Route(
            "/clients/{device}/access-token",
            frozenset({"POST"}),
            ClientAccessTokenEndpoint(minter),
            f"{_SERVICE}/MintClientAccessToken",
            MAX_BODY,
        ),
    ]


class ClientNonceEndpoint:
    """A nonce for the device ``?client_id=``, in the body and in the header ``replay-nonce``."""

    def __init__(self, minter: ClientTokenMinter) -> None:
        self._minter = minter

    async def __call__(self, request: EdgeRequest) -> Response:
        """The older of Wire's clients read the body, the newer ones the header."""
        client_id = _only_client_id(request.query)
        _require_device(client_id, request.parameters.get("device"))
        nonce = self._minter.issue_nonce(client_id)
        return Response(nonce, 200, {**NO_STORE, "replay-nonce": nonce}, "text/plain")


class ClientAccessTokenEndpoint:
    """The token for the proof in the ``DPoP`` header of the device, of which the JSON body tells the rest:
    ``client_id``, ``handle``, ``display_name``, ``domain``, and where there are any ``team`` and ``nonce``.
    """

    def __init__(self, minter: ClientTokenMinter) -> None:
        self._minter = minter

    async def __call__(self, request: EdgeRequest) -> Response:
        """One token."""
        asked = _asked(request)
        _require_device(asked.client_id, request.parameters["device"])
        try:
            minted = await self._minter.mint(asked)
        except RequestError as error:
            fault = error.metadata.get("fault")
            if fault is None:
                raise
            # OAuth has one error for all that can be wrong with a proof; the backend is told which.
            raise HttpError(
                400, f"The device's proof was refused: {fault}.", error="invalid_dpop_proof", cause=fault
            ) from error
        document = {"expires_in": LIFETIME, "token": minted.value, "type": "DPoP"}
        return Response(json.dumps(document), 200, NO_STORE, "application/json")


def _asked(request: EdgeRequest) -> ClientTokenRequest:
    """Raises `HttpError` 415, `RequestError` INVALID_REQUEST."""
    types = request.header_values("content-type")
    if len(types) != 1 or types[0].partition(";")[0].strip().lower() != "application/json":
        raise HttpError(415, "Send one content-type header: application/json.", cause="media_type")
    proofs = request.header_values("dpop")
    if len(proofs) != 1:
        raise RequestError(Reason.INVALID_REQUEST, "Send one DPoP header.", cause="dpop_header")
    try:
        members = Claims.parse(request.body)
        return ClientTokenRequest(
            client_id=members.string(_CLIENT_ID),
            handle=members.string("handle"),
            display_name=members.string("display_name"),
            team=members.optional_string("team"),
            domain=members.string("domain"),
            proof=proofs[0],
            nonce=members.optional_string("nonce"),
        )
    except JoseError as error:
        raise RequestError(
            Reason.INVALID_REQUEST, "The description of the device is malformed.", field=error.member
        ) from error


def _only_client_id(query: bytes) -> str:
    name, separator, value = query.partition(b"=")
    if not separator or b"&" in value or form_decoded(name) != _CLIENT_ID:
        raise RequestError(
            Reason.MISSING_FIELD, "Name the device as the only parameter, client_id.", field=_CLIENT_ID
        )
    return form_decoded(value)


def _require_device(client_id: str, device: str | None) -> None:
    """The path and the client id name one device; a path without a device leaves it to the client id."""
    try:
        named = ClientUri.parse(client_id).device
    except WireNameError as error:
        raise RequestError(Reason.INVALID_FIELD, f"{error}.".capitalize(), field=_CLIENT_ID) from error
    if device is not None and device != named:
        raise RequestError(
            Reason.INVALID_FIELD, "The client id is of another device than the path.", field=_CLIENT_ID
        )
