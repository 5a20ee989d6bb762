"""GET directory and new-nonce (RFC 8555 §7.1.1, §7.2)."""

import json
from typing import Any

from starlette.responses import Response

from gateway.edge.acme_door import AcmeDoor
from gateway.edge.exchange import EdgeRequest


class DirectoryEndpoint:
    """The directory; it changes only with the configuration."""

    def __init__(self, door: AcmeDoor) -> None:
        provisioner = door.provisioner
        meta: dict[str, Any] = {"externalAccountRequired": provisioner.external_account_required}
        if provisioner.terms_url is not None:
            meta["termsOfService"] = provisioner.terms_url
        self._document = json.dumps(
            {
                "newNonce": door.url("new-nonce"),
                "newAccount": door.url("new-account"),
                "newOrder": door.url("new-order"),
                "revokeCert": door.url("revoke-cert"),
                "keyChange": door.url("key-change"),
                "renewalInfo": door.url("renewal-info"),
                "meta": meta,
            }
        )

    async def __call__(self, request: EdgeRequest) -> Response:
        """The document."""
        del request
        return Response(self._document, 200, {"cache-control": "public, max-age=300"}, "application/json")


class NewNonceEndpoint:
    """A nonce, in its header: with 200 for HEAD and 204 for GET."""

    def __init__(self, door: AcmeDoor) -> None:
        self._door = door

    async def __call__(self, request: EdgeRequest) -> Response:
        """The nonce costs nothing: no row is kept until it is used."""
        status = 200 if request.method == "HEAD" else 204
        return self._door.dressed(Response(status_code=status, headers={"cache-control": "no-store"}))
