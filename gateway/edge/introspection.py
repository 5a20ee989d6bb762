"""POST /oauth2/introspect: convert, call, convert back."""

import json
from collections.abc import Mapping
from typing import Any, Final

from gateway.edge.accept import preferred
from gateway.edge.credentials import client_claim
from gateway.edge.exchange import EdgeRequest
from gateway.edge.oauth_errors import NO_STORE, HttpError
from gateway.edge.response import Response
from gateway.introspection.document import document_of
from gateway.introspection.introspect import ActiveToken, Introspector
from gateway.introspection.signed_response import TYP, SigningIntrospector
from gateway.settings.server import CompatibilitySettings
from gateway.tokens.binding import CertificateBinding

JSON: Final = "application/json"
SIGNED: Final = f"application/{TYP}"
"""The media type of signed responses (RFC 9701 §4)."""


class IntrospectionEndpoint:
    """RFC 7662, and RFC 9701 for whoever accepts a signed response."""

    def __init__(
        self,
        introspector: Introspector,
        signing: SigningIntrospector,
        compatibility: CompatibilitySettings,
    ) -> None:
        self._introspector = introspector
        self._signing = signing
        self._old_name = compatibility.wso2_x5t_sha256

    async def __call__(self, request: EdgeRequest) -> Response:
        """Tell whether a token is active for whoever asks. The hint never changes the answer."""
        form = request.form()
        media_type = preferred(request.header_values("accept"), (JSON, SIGNED))
        if media_type is None:
            raise HttpError(406, f"The response is {JSON} or {SIGNED}.", cause="not_acceptable")
        claim = client_claim(request.basic, form)
        asked = (request.call, claim.client_id, claim.credential, form.require("token"))
        if media_type == SIGNED:
            _, signed = await self._signing.introspect(*asked)
            return Response(signed, 200, NO_STORE, SIGNED)
        accepted = await self._introspector.introspect(*asked)
        return Response(json.dumps(self._document(accepted)), 200, NO_STORE, JSON)

    def _document(self, token: ActiveToken | None) -> Mapping[str, Any]:
        """RFC 7662 §2.2, RFC 8705 §3.2, and the old name of `x5t#S256` where it was asked for."""
        document = document_of(token)
        if self._old_name and token is not None and isinstance(token.binding, CertificateBinding):
            document["cnf"]["x5t#SHA256"] = token.binding.x5t_s256
        return document
