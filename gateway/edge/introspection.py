"""POST /oauth2/introspect: convert, call, convert back."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from gateway.config import CompatibilitySettings
from gateway.edge.credentials import client_claim
from gateway.edge.exchange import EdgeRequest
from gateway.edge.oauth_errors import NO_STORE
from gateway.edge.token import token_type
from gateway.introspection.introspect import Introspector
from gateway.tokens.access_token import AccessToken
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
        document = {"active": False} if accepted is None else self._document(accepted)
        return Response(json.dumps(document), 200, NO_STORE, "application/json")

    def _document(self, token: AccessToken) -> Mapping[str, Any]:
        """RFC 7662 §2.2, RFC 8705 §3.2."""
        document: dict[str, Any] = {
            "active": True,
            "client_id": token.client_id,
            "token_type": token_type(token.binding),
            "exp": token.expire_time,
            "iat": token.issue_time,
            "sub": token.subject,
            "aud": token.audience[0] if len(token.audience) == 1 else token.audience,
            "iss": token.issuer,
            "jti": token.token_id,
        }
        if token.scope:
            document["scope"] = " ".join(token.scope)
        if token.binding is not None:
            document["cnf"] = token.binding.confirmation()
            if self._old_name and isinstance(token.binding, CertificateBinding):
                document["cnf"]["x5t#SHA256"] = token.binding.x5t_s256
        return document
