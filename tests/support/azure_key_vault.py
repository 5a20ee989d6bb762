"""Azure Key Vault's keys as the REST reference describes them, on loopback, with real keys.

Of lowkey-vault, the jar that runs could not be had from Maven Central (only its client and test containers),
and the emulators on PyPI sign with a bare hash, so this server stands in;
tests/signers/kms/azure/test_azure_emulator.py holds it to Microsoft's own client library.

SOURCE: Azure Key Vault REST API reference, version 7.4: Create Key, Get Key, Sign, Update Key, Delete Key,
Get Key Versions; "REST API error codes"; the token endpoint of App Service managed identities, api-version
2019-08-01.
"""

import base64
import secrets
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.support import service_keys

RESOURCE = "https://vault.azure.net"
IDENTITY_HEADER = "the-identity-header"
# alg of Sign: crv of EC keys or RSA, bits of the digest, PSS.
ALGORITHMS: dict[str, tuple[str, int, bool]] = {
    "ES256": ("P-256", 256, False),
    "ES256K": ("P-256K", 256, False),
    "ES384": ("P-384", 384, False),
    "ES512": ("P-521", 512, False),
    "PS256": ("RSA", 256, True),
    "RS256": ("RSA", 256, False),
}


class ApiError(Exception):
    """An error as Key Vault writes it: a code, and for some a code inside."""

    def __init__(self, http: int, code: str, message: str, inner: str | None = None) -> None:
        super().__init__(message)
        self.http, self.code, self.inner = http, code, inner

    def response(self) -> Response:
        """The HTTP answer."""
        return JSONResponse(error_body(self.code, str(self), self.inner), self.http)


def error_body(code: str, message: str, inner: str | None = None) -> dict[str, Any]:
    """The JSON of an error."""
    error: dict[str, Any] = {"code": code, "message": message}
    if inner is not None:
        error["innererror"] = {"code": inner}
    return {"error": error}


@dataclass
class Version:
    """One version of a key."""

    kty: str
    crv: str | None
    key: service_keys.PrivateKey
    operations: list[str]
    enabled: bool = True
    not_before: int | None = None
    expires: int | None = None


@dataclass
class AzureKeyVault:
    """The vault's state, which a test may change; `app` is its HTTP interface.

    `denied` holds operations (keys/get, keys/sign, keys/create) that the caller lacks; `token_seconds` is the
    life of new tokens, and tokens that leave `tokens` are no longer accepted.
    """

    host: str = "contract.vault.azure.net"
    keys: dict[str, dict[str, Version]] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)
    token_seconds: int = 86_400
    calls: Counter[str] = field(default_factory=Counter)

    def app(self) -> Starlette:
        """The HTTP interface."""
        routes = [
            Route("/msi/token", self._token, methods=["GET"]),
            Route("/keys/{name}", self._guard(self._key), methods=["GET", "DELETE"]),
            # Microsoft's clients ask for the latest version with a slash at the end.
            Route("/keys/{name}/", self._guard(self._key), methods=["GET"]),
            Route("/keys/{name}/create", self._guard(self._create), methods=["POST"]),
            Route("/keys/{name}/versions", self._guard(self._versions), methods=["GET"]),
            Route("/keys/{name}/{version}", self._guard(self._key), methods=["GET", "PATCH"]),
            Route("/keys/{name}/{version}/sign", self._guard(self._sign), methods=["POST"]),
        ]
        return Starlette(routes=routes)

    async def _token(self, request: Request) -> Response:
        self.calls["token"] += 1
        if request.headers.get("x-identity-header") != IDENTITY_HEADER:
            return JSONResponse({"statusCode": 401, "message": "Unauthorized"}, 401)
        if request.query_params["resource"] != RESOURCE:
            return JSONResponse({"statusCode": 400, "message": "unknown resource"}, 400)
        token = "eyJ." + secrets.token_urlsafe(24)
        self.tokens.add(token)
        return JSONResponse(
            {
                "access_token": token,
                "expires_on": str(int(time.time()) + self.token_seconds),
                "resource": RESOURCE,
                "token_type": "Bearer",
            }
        )

    def _guard(self, handler: Any) -> Any:
        async def guarded(request: Request) -> Response:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            if scheme != "Bearer" or token not in self.tokens:
                challenge = (
                    f'Bearer authorization="https://login.microsoftonline.com/1", resource="{RESOURCE}"'
                )
                body = error_body("Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
                return JSONResponse(body, 401, headers={"WWW-Authenticate": challenge})
            body = await request.json() if await request.body() else {}
            try:
                _require_api_version(request)
                return JSONResponse(handler(request, body))
            except ApiError as error:
                return error.response()

        return guarded

    def _permit(self, operation: str) -> None:
        self.calls[operation] += 1
        if operation in self.denied:
            message = f"Caller is not authorized to perform action on resource. Action: '{operation}'"
            raise ApiError(403, "Forbidden", message, "ForbiddenByRbac")

    def _find(self, request: Request) -> tuple[str, Version]:
        name, version = request.path_params["name"], request.path_params.get("version")
        versions = self.keys.get(name, {})
        wanted = version or next(reversed(versions), None)
        if wanted is None or wanted not in versions:
            raise ApiError(
                404, "KeyNotFound", f"A key with (name/id) {name} was not found in this key vault."
            )
        return wanted, versions[wanted]

    def _create(self, request: Request, body: dict[str, Any]) -> dict[str, Any]:
        self._permit("keys/create")
        kty, crv = body["kty"], body.get("crv")
        kind = f"RSA-{body.get('key_size', 2048)}" if kty.startswith("RSA") else _curve(crv)
        operations = body.get("key_ops") or ["sign", "verify"]
        made = Version(kty, crv, service_keys.generate(kind), operations)
        identifier = secrets.token_hex(16)
        self.keys.setdefault(request.path_params["name"], {})[identifier] = made
        return self._bundle(request, identifier, made)

    def _key(self, request: Request, body: dict[str, Any]) -> dict[str, Any]:
        if request.method == "DELETE":
            self._permit("keys/delete")
            identifier, version = self._find(request)
            bundle = self._bundle(request, identifier, version)
            del self.keys[request.path_params["name"]]
            return bundle
        self._permit("keys/get" if request.method == "GET" else "keys/update")
        identifier, version = self._find(request)
        version.enabled = body.get("attributes", {}).get("enabled", version.enabled)
        return self._bundle(request, identifier, version)

    def _versions(self, request: Request, _: dict[str, Any]) -> dict[str, Any]:
        self._permit("keys/list")
        name = request.path_params["name"]
        items = [
            {"kid": self._kid(name, identifier), "attributes": _attributes(version)}
            for identifier, version in self.keys.get(name, {}).items()
        ]
        return {"value": items, "nextLink": None}

    def _sign(self, request: Request, body: dict[str, Any]) -> dict[str, Any]:
        self._permit("keys/sign")
        identifier, version = self._find(request)
        if not version.enabled:
            message = "Operation sign is not allowed on a disabled key."
            raise ApiError(403, "Forbidden", message, "KeyDisabled")
        if version.expires is not None and version.expires <= time.time():
            message = "Operation sign is not allowed on an expired key."
            raise ApiError(403, "Forbidden", message, "KeyExpired")
        if "sign" not in version.operations:
            message = "Operation is not permitted on this key."
            raise ApiError(403, "Forbidden", message, "KeyOperationForbidden")
        wanted, bits, pss = ALGORITHMS[body["alg"]]
        if wanted != (version.crv or "RSA"):
            raise ApiError(400, "BadParameter", "Key and signing algorithm are incompatible.")
        try:
            signature = service_keys.sign_digest(version.key, _decode(body["value"]), bits, pss=pss)
        except ValueError:
            raise ApiError(400, "BadParameter", "Invalid length of value.") from None
        if isinstance(version.key, ec.EllipticCurvePrivateKey):
            signature = _raw(signature, (version.key.curve.key_size + 7) // 8)
        return {"kid": self._kid(request.path_params["name"], identifier), "value": _encode(signature)}

    def _kid(self, name: str, identifier: str) -> str:
        return f"https://{self.host}/keys/{name}/{identifier}"

    def _bundle(self, request: Request, identifier: str, version: Version) -> dict[str, Any]:
        public = version.key.public_key()
        key: dict[str, Any] = {
            "kid": self._kid(request.path_params["name"], identifier),
            "kty": version.kty,
            "key_ops": version.operations,
        }
        if isinstance(public, rsa.RSAPublicKey):
            numbers = public.public_numbers()
            key |= {"n": _encode(_unsigned(numbers.n)), "e": _encode(_unsigned(numbers.e))}
        else:
            assert isinstance(public, ec.EllipticCurvePublicKey)
            size, point = (public.curve.key_size + 7) // 8, public.public_numbers()
            key |= {
                "crv": version.crv,
                "x": _encode(point.x.to_bytes(size, "big")),
                "y": _encode(point.y.to_bytes(size, "big")),
            }
        return {"key": key, "attributes": _attributes(version)}


def _require_api_version(request: Request) -> None:
    if "api-version" not in request.query_params:
        raise ApiError(400, "BadParameter", "The api-version query parameter is missing.")


def _attributes(version: Version) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "enabled": version.enabled,
        "created": 1_700_000_000,
        "updated": 1_700_000_000,
        "recoveryLevel": "Recoverable+Purgeable",
    }
    if version.not_before is not None:
        attributes["nbf"] = version.not_before
    if version.expires is not None:
        attributes["exp"] = version.expires
    return attributes


def _curve(crv: str | None) -> str:
    # Key Vault's name for secp256k1 is its own (RFC 8812 §3.1 has another).
    return "secp256k1" if crv == "P-256K" else (crv or "P-256")


def _raw(der: bytes, size: int) -> bytes:
    r, s = decode_dss_signature(der)
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def _unsigned(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
