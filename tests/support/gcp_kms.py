"""Cloud KMS as its REST reference describes it, on loopback, with real keys and a real token endpoint.

Google's own fake (the Go module ``cloud.google.com/kms/integrations/fakekms``) could not be had from the Go
module proxy, so this server stands in; tests/signers/kms/gcp/test_gcp_emulator.py holds it to Google's own
client.

SOURCE: Cloud KMS API v1 REST reference, projects.locations.keyRings.cryptoKeys.cryptoKeyVersions (methods
asymmetricSign, getPublicKey, list, create, patch, destroy); AIP-193 for errors; RFC 7523 §2.1 for the tokens
of a service account.
"""

import base64
import binascii
import json
import secrets
import time
from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any
from urllib.parse import parse_qs

import google_crc32c
import jwt
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.cloud.kms_v1 import CryptoKey, CryptoKeyVersion, ProtectionLevel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.support import service_keys

AUDIENCE = "https://oauth2.googleapis.com/token"
"""What google-auth writes, wherever the token endpoint is."""

EMAIL = "gateway@project.iam.gserviceaccount.com"
# algorithm: kind of key, bits of the digest (0 for data instead of a digest), PSS.
ALGORITHMS: dict[str, tuple[str, int, bool]] = {
    "EC_SIGN_P256_SHA256": ("P-256", 256, False),
    "EC_SIGN_P384_SHA384": ("P-384", 384, False),
    "EC_SIGN_SECP256K1_SHA256": ("secp256k1", 256, False),
    "EC_SIGN_ED25519": ("Ed25519", 0, False),
    "RSA_SIGN_PKCS1_2048_SHA256": ("RSA-2048", 256, False),
    "RSA_SIGN_PKCS1_3072_SHA256": ("RSA-3072", 256, False),
    "RSA_SIGN_PKCS1_4096_SHA512": ("RSA-4096", 512, False),
    "RSA_SIGN_PSS_2048_SHA256": ("RSA-2048", 256, True),
}
HSM_ONLY = frozenset({"EC_SIGN_SECP256K1_SHA256"})
MAX_DATA = 64 * 1024


class ApiError(Exception):
    """An error in the form of AIP-193."""

    def __init__(self, http: int, status: str, message: str) -> None:
        super().__init__(message)
        self.http, self.status = http, status

    def response(self) -> Response:
        """The HTTP answer."""
        return JSONResponse(error_body(self.http, self.status, str(self)), self.http)


def error_body(http: int, status: str, message: str, *, retry_delay: str | None = None) -> dict[str, Any]:
    """The JSON of an error; *retry_delay* as in ``"1.5s"`` adds a google.rpc.RetryInfo."""
    error: dict[str, Any] = {"code": http, "message": message, "status": status}
    if retry_delay is not None:
        retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": retry_delay}
        error["details"] = [retry]
    return {"error": error}


@dataclass
class Version:
    """One CryptoKeyVersion."""

    algorithm: str
    level: str
    key: service_keys.PrivateKey
    state: str = "ENABLED"
    looks_left: int = 0


@dataclass
class GcpKms:
    """The service's state, which a test may change; `app` is its HTTP interface.

    `denied` holds permissions that the caller lacks; `token_seconds` is the life of new tokens, and tokens
    that leave `tokens` are no longer known.
    A new version is generated only after `generation_looks` at it.
    """

    rings: set[str] = field(default_factory=set)
    keys: dict[str, dict[int, Version]] = field(default_factory=dict)
    templates: dict[str, dict[str, str]] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)
    token_seconds: int = 3600
    generation_looks: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    account_key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))

    def credentials(self, url: str) -> str:
        """The service account's key file, whose token endpoint is at *url*."""
        pem = self.account_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return json.dumps(
            {
                "type": "service_account",
                "project_id": "project",
                "private_key_id": "1",
                "private_key": pem,
                "client_email": EMAIL,
                "client_id": "1",
                "token_uri": f"{url}/token",
            }
        )

    def app(self) -> Starlette:
        """The HTTP interface."""
        routes = [
            Route("/token", self._token, methods=["POST"]),
            Route("/v1/{name:path}", self._call, methods=["GET", "POST", "PATCH"]),
        ]
        return Starlette(routes=routes)

    async def _token(self, request: Request) -> Response:
        form = parse_qs((await request.body()).decode())
        self.calls["token"] += 1
        try:
            claims = jwt.decode(
                form["assertion"][0],
                self.account_key.public_key(),
                algorithms=["RS256"],
                audience=AUDIENCE,
                issuer=EMAIL,
            )
        except jwt.InvalidTokenError as error:
            return JSONResponse({"error": "invalid_grant", "error_description": str(error)}, 400)
        if claims["scope"] != "https://www.googleapis.com/auth/cloudkms":
            return JSONResponse({"error": "invalid_scope"}, 400)
        token = "ya29." + secrets.token_urlsafe(24)
        self.tokens.add(token)
        return JSONResponse({"access_token": token, "expires_in": self.token_seconds, "token_type": "Bearer"})

    async def _call(self, request: Request) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or token not in self.tokens:
            message = "Request had invalid authentication credentials."
            return JSONResponse(error_body(401, "UNAUTHENTICATED", message), 401)
        name = request.path_params["name"]
        path, _, verb = name.partition(":")
        body = await request.json() if await request.body() else {}
        try:
            return JSONResponse(self._dispatch(request, path, verb, body))
        except ApiError as error:
            return error.response()

    def _dispatch(  # noqa: PLR0911  # One case for each method of the API.
        self, request: Request, path: str, verb: str, body: dict[str, Any]
    ) -> dict[str, Any]:
        method, leaf = request.method, path.rsplit("/", 1)[-1]
        query = request.query_params
        match method, verb or leaf:
            case "POST", "asymmetricSign":
                return self._sign(path, body)
            case "POST", "destroy":
                version = self._version(path, "cloudkms.cryptoKeyVersions.destroy")
                version.state = "DESTROY_SCHEDULED"
                return self._describe(path, version)
            case "GET", "publicKey":
                return self._public_key(path.removesuffix("/publicKey"))
            case "GET", "cryptoKeyVersions":
                return self._list(path.removesuffix("/cryptoKeyVersions"), query)
            case "POST", "cryptoKeyVersions":
                return self._add_version(path.removesuffix("/cryptoKeyVersions"))
            case "POST", "cryptoKeys":
                return self._create_key(f"{path}/{query['cryptoKeyId']}", body)
            case "POST", "keyRings":
                self._permit("cloudkms.keyRings.create")
                self.rings.add(f"{path}/{query['keyRingId']}")
                return {"name": f"{path}/{query['keyRingId']}", "createTime": _now()}
            case "PATCH", _ if query.get("updateMask") == "state":
                version = self._version(path, "cloudkms.cryptoKeyVersions.update")
                version.state = _name(CryptoKeyVersion.CryptoKeyVersionState, body["state"])
                return self._describe(path, version)
            case "GET", _ if "/cryptoKeyVersions/" in path:
                return self._get(path)
        raise ApiError(404, "NOT_FOUND", "Method not found.")

    def _get(self, path: str) -> dict[str, Any]:
        version = self._version(path, "cloudkms.cryptoKeyVersions.get")
        answer = self._describe(path, version)
        if version.looks_left:
            version.looks_left -= 1
        elif version.state == "PENDING_GENERATION":
            version.state = "ENABLED"
        return answer

    def _permit(self, permission: str, resource: str = "") -> None:
        self.calls[permission] += 1
        if permission in self.denied:
            raise ApiError(
                403,
                "PERMISSION_DENIED",
                f"Permission '{permission}' denied on resource '{resource}' (or it may not exist).",
            )

    def _version(self, path: str, permission: str) -> Version:
        self._permit(permission, path)
        key, _, number = path.partition("/cryptoKeyVersions/")
        version = self.keys.get(key, {}).get(int(number) if number.isdigit() else 0)
        if version is None:
            raise ApiError(404, "NOT_FOUND", f"{path} not found.")
        return version

    def _create_key(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        self._permit("cloudkms.cryptoKeys.create", name)
        if name.partition("/cryptoKeys/")[0] not in self.rings:
            raise ApiError(404, "NOT_FOUND", f"KeyRing of {name} not found.")
        if name in self.keys:
            raise ApiError(409, "ALREADY_EXISTS", f"CryptoKey {name} already exists.")
        template = body["versionTemplate"]
        level = _name(ProtectionLevel, template.get("protectionLevel", "SOFTWARE"))
        algorithm = _name(CryptoKeyVersion.CryptoKeyVersionAlgorithm, template["algorithm"])
        purpose = _name(CryptoKey.CryptoKeyPurpose, body["purpose"])
        if purpose != "ASYMMETRIC_SIGN" or algorithm not in ALGORITHMS:
            raise ApiError(400, "INVALID_ARGUMENT", "purpose and algorithm do not fit.")
        if algorithm in HSM_ONLY and level != "HSM":
            raise ApiError(400, "INVALID_ARGUMENT", "algorithm is not supported at this protection level.")
        self.keys[name] = {}
        self.templates[name] = {"algorithm": algorithm, "protectionLevel": level}
        self._add_version(name)
        return {"name": name, "purpose": "ASYMMETRIC_SIGN", "versionTemplate": self.templates[name]}

    def _add_version(self, key: str) -> dict[str, Any]:
        versions, template = self.keys[key], self.templates[key]
        number = len(versions) + 1
        made = service_keys.generate(ALGORITHMS[template["algorithm"]][0])
        looks = self.generation_looks
        state = "PENDING_GENERATION" if looks else "ENABLED"
        level = template["protectionLevel"]
        versions[number] = Version(template["algorithm"], level, made, state, looks)
        return self._describe(f"{key}/cryptoKeyVersions/{number}", versions[number])

    def _list(self, key: str, query: Any) -> dict[str, Any]:
        self._permit("cloudkms.cryptoKeyVersions.list", key)
        if key not in self.keys:
            raise ApiError(404, "NOT_FOUND", f"CryptoKey {key} not found.")
        wanted = query.get("filter", "")
        found = [
            self._describe(f"{key}/cryptoKeyVersions/{number}", version)
            for number, version in sorted(self.keys[key].items())
            if not wanted or wanted == f"state={version.state}"
        ]
        start, size = int(query.get("pageToken") or "0"), int(query.get("pageSize") or "100")
        page: dict[str, Any] = {
            "cryptoKeyVersions": found[start : start + size],
            "totalSize": len(found),
        }
        if start + size < len(found):
            page["nextPageToken"] = str(start + size)
        return page

    def _public_key(self, path: str) -> dict[str, Any]:
        version = self._version(path, "cloudkms.cryptoKeyVersions.viewPublicKey")
        _require_enabled(path, version)
        pem = service_keys.public_pem(version.key.public_key())
        return {
            "pem": pem,
            "algorithm": version.algorithm,
            "pemCrc32c": str(google_crc32c.value(pem.encode())),
            "name": path,
            "protectionLevel": version.level,
            "publicKeyFormat": "PEM",
        }

    def _sign(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        version = self._version(path, "cloudkms.cryptoKeyVersions.useToSign")
        _require_enabled(path, version)
        _, bits, pss = ALGORITHMS[version.algorithm]
        answer: dict[str, Any] = {"name": path, "protectionLevel": version.level}
        if bits:
            digest = _checked(body.get("digest", {}).get(f"sha{bits}"), body.get("digestCrc32c"))
            answer["verifiedDigestCrc32c"] = "digestCrc32c" in body
            try:
                signature = service_keys.sign_digest(version.key, digest, bits, pss=pss)
            except ValueError:
                raise ApiError(400, "INVALID_ARGUMENT", "The digest has the wrong length.") from None
        else:
            data = _checked(body.get("data"), body.get("dataCrc32c"))
            if len(data) > MAX_DATA:
                raise ApiError(400, "INVALID_ARGUMENT", "The data is too large.")
            answer["verifiedDataCrc32c"] = "dataCrc32c" in body
            assert isinstance(version.key, ed25519.Ed25519PrivateKey)
            signature = version.key.sign(data)
        answer["signature"] = base64.b64encode(signature).decode()
        answer["signatureCrc32c"] = str(google_crc32c.value(signature))
        return answer

    def _describe(self, path: str, version: Version) -> dict[str, Any]:
        return {
            "name": path,
            "state": version.state,
            "protectionLevel": version.level,
            "algorithm": version.algorithm,
            "createTime": _now(),
        }


def _require_enabled(path: str, version: Version) -> None:
    if version.state != "ENABLED":
        raise ApiError(
            400, "FAILED_PRECONDITION", f"{path} is not enabled, current state is: {version.state}."
        )


def _checked(text: str | None, checksum: str | None) -> bytes:
    if text is None:
        raise ApiError(
            400, "INVALID_ARGUMENT", "Neither the digest of the key's algorithm nor data was sent."
        )
    try:
        value = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ApiError(400, "INVALID_ARGUMENT", "Invalid base64.") from None
    if checksum is not None and int(checksum) != google_crc32c.value(value):
        raise ApiError(400, "INVALID_ARGUMENT", "The checksum in field digest_crc32c did not match the data.")
    return value


def _name(kind: type[IntEnum], value: str | int) -> str:
    # JSON may have an enumeration's name or its number; Google's own client sends numbers.
    return kind(value).name if isinstance(value, int) else value


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
