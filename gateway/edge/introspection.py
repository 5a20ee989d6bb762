"""POST /oauth2/introspect: convert, call, convert back."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from gateway.config import CompatibilitySettings
from gateway.edge.credentials import client_claim
from gateway.edge.exchange import EdgeRequest
from gateway.edge.oauth_errors import NO_STORE
from gateway.introspection.document import document_of
from gateway.introspection.introspect import ActiveToken, Introspector
from gateway.tokens.binding import CertificateBinding


class IntrospectionEndpoint:
    """RFC 7662."""

    def __init__(self, introspector: Introspector, compatibility: CompatibilitySettings) -> None:
        self._introspector = introspector
        self._old_name = compatibility.wso2_x5t_sha256

    async def __call__(self, request: EdgeRequest) -> Response:
        """Tell whether a token is active for whoever asks. The hint never changes the answer."""
        form = request.form()
        claim = client_claim(request.basic, form)
        accepted = await self._introspector.introspect(
            request.call, claim.client_id, claim.credential, form.require("token")
        )
        return Response(json.dumps(self._document(accepted)), 200, NO_STORE, "application/json")

    def _document(self, token: ActiveToken | None) -> Mapping[str, Any]:
        """RFC 7662 §2.2, RFC 8705 §3.2, and the old name of `x5t#S256` where it was asked for."""
        document = document_of(token)
        if self._old_name and token is not None and isinstance(token.binding, CertificateBinding):
            document["cnf"]["x5t#SHA256"] = token.binding.x5t_s256
        return document
