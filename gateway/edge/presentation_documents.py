"""What the world reads of the gateway's DID: its document, and the proof that it controls its origins."""

from typing import Final

from gateway.edge.exchange import EdgeRequest
from gateway.edge.response import Response
from gateway.presentations.own_did import OwnDid
from gateway.presentations.own_linkage import OwnDidConfiguration

DID_MEDIA_TYPE: Final = "application/did+json"
"""DID Core §6.2. Readers that know only ``application/json`` find JSON all the same."""
_JSON: Final = "application/json"


class DidDocumentEndpoint:
    """``did.json`` of a did:web. *max_age*: seconds that a wallet may keep it; a key is published first."""

    def __init__(self, own: OwnDid, max_age: int) -> None:
        self._own = own
        self._max_age = max_age

    async def __call__(self, request: EdgeRequest) -> Response:
        """The document as it is now."""
        del request
        return _published(self._own.document_json(), DID_MEDIA_TYPE, self._max_age)


class DidConfigurationEndpoint:
    """``/.well-known/did-configuration.json``. *max_age*: as of the document that its signature is under."""

    def __init__(self, configuration: OwnDidConfiguration, max_age: int) -> None:
        self._configuration = configuration
        self._max_age = max_age

    async def __call__(self, request: EdgeRequest) -> Response:
        """The resource, signed before where it still holds."""
        del request
        return _published(await self._configuration.resource(), _JSON, self._max_age)


def _published(content: bytes, media_type: str, max_age: int) -> Response:
    """*content* for everybody, scripts of other origins included."""
    headers = {
        "cache-control": f"public, max-age={max_age}",
        "access-control-allow-origin": "*",
        "x-content-type-options": "nosniff",
    }
    return Response(content, 200, headers, media_type)
