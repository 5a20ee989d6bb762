"""What a wallet does with a request: fetch the request object, and post the answer.

Nobody is asked for a role here. Whoever holds a request's id may fetch it, and whoever holds the state in it
may answer, once and until it expires; the one who asked hears of it over gRPC.
"""

import json
from collections.abc import Callable
from typing import Final

from gateway.edge.exchange import EdgeRequest
from gateway.edge.oauth_errors import NO_STORE, HttpError
from gateway.edge.response import Response
from gateway.presentations.request import (
    MAX_ERROR,
    MAX_ID_TOKEN,
    MAX_STATE,
    MAX_VP_TOKEN,
    PresentationResponse,
    RequestStatus,
)
from gateway.presentations.requests import PresentationRequests
from gateway.presentations.submissions import PresentationSubmissions

REQUEST_OBJECT: Final = "application/jwt"
"""As the profile has it. OpenID4VP 1.0 has a type of its own, which wallets of the profile do not know."""
MAX_RESPONSE_BODY: Final = MAX_ID_TOKEN + MAX_VP_TOKEN + MAX_STATE + MAX_ERROR + 64 * 1024
"""Octets of a form: its members, and room for escapes and for members that nobody here reads."""

_JSON: Final = "application/json"
_HEADERS: Final = {**NO_STORE, "x-content-type-options": "nosniff"}


class RequestObjectEndpoint:
    """The ``request_uri`` (OpenID Connect Core §6.2)."""

    def __init__(self, requests: PresentationRequests) -> None:
        self._requests = requests

    async def __call__(self, request: EdgeRequest) -> Response:
        """The signed request object, as long as it can be answered."""
        token = await self._requests.request_object(request.parameters["request"])
        return Response(token, 200, _HEADERS, REQUEST_OBJECT)


class QrEndpoint:
    """The QR code of a request, for whoever shows it. *draw* makes an image of *media_type* of a text."""

    def __init__(self, requests: PresentationRequests, draw: Callable[[str], bytes], media_type: str) -> None:
        self._requests = requests
        self._draw = draw
        self._media_type = media_type

    async def __call__(self, request: EdgeRequest) -> Response:
        """The image; looking at it does not count as fetching the request."""
        record = await self._requests.get(request.parameters["request"], owner=None)
        image = self._draw(record.request.authorization_request_uri)
        return Response(image, 200, _HEADERS, self._media_type)


class ResponseEndpoint:
    """The ``redirect_uri`` of a request: where a wallet posts its answer (response mode ``post``)."""

    def __init__(self, submissions: PresentationSubmissions) -> None:
        self._submissions = submissions

    async def __call__(self, request: EdgeRequest) -> Response:
        """200 where the answer was taken, also where the user declined; 400 where it does not hold.

        Why it does not hold is for the verifier: the checks tell of its policy.
        """
        form = request.form()
        record = await self._submissions.submit(
            PresentationResponse.of(
                state=form.get("state") or "",
                id_token=form.get("id_token") or "",
                vp_token=form.get("vp_token") or "",
                error=form.get("error") or "",
            )
        )
        if record.stored is RequestStatus.REFUSED and record.wallet_error is None:
            raise HttpError(400, "The verifier did not accept the presentation.", error="access_denied")
        # OpenID4VP, Response Mode direct_post: a wallet that knows the member opens it in the browser.
        back = record.request.return_url
        return Response(json.dumps({} if back is None else {"redirect_uri": back}), 200, _HEADERS, _JSON)
