"""A wallet of the JWT VC Presentation Profile, as a developer's tool and for tests.

    async with httpx.AsyncClient(verify=context) as http:
        wallet = Wallet(holder, [credential], client=guarded_client, http=http)
        answered = await wallet.present("openid-vc://?request_uri=https%3A%2F%2F...")

It asks before it answers: the request object's signature, the verifier's DID and its linked domain. DIDs and
linked domains are read by the gateway's own modules; tokens are verified and signed by PyJWT, so that two
implementations must agree about each of them. `python -m tests.support.wallet_program` is the same from a
shell.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import jsonpath
import jwt
from jsonschema import Draft7Validator

from gateway.dids import DidDocument, DidError, DidResolver, Relationship, default_methods, parse_did_url
from gateway.fetching import GuardedClient
from gateway.presentations.linkage_errors import LinkageError
from gateway.presentations.linked_domains import LinkedDomains
from signers import Algorithm
from tests.support.wallet_identities import ALGORITHMS, Identity

SELF_ISSUED: Final = "https://self-issued.me/v2/openid-vc"
SCHEME: Final = "openid-vc"
_LIFETIME: Final = 300
_MEDIA_TYPES: Final = ("application/jwt", "application/oauth-authz-req+jwt")
_MODES: Final = ("post", "direct_post")
_AUTHENTICATION: Final = frozenset({Relationship.AUTHENTICATION})


class WalletRefusedError(Exception):
    """The wallet does not answer such a request; `rule` names what was wrong."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


@dataclass(frozen=True)
class Asked:
    """A verified request: who asks (*client_id*, linked to *origin*), for what, and where the answer goes."""

    client_id: str
    origin: str
    redirect_uri: str
    nonce: str
    state: str
    definition: Mapping[str, Any]
    registration: Mapping[str, Any]


@dataclass(frozen=True)
class Answered:
    """A request, what was sent for it, and what the verifier's endpoint said."""

    asked: Asked
    form: Mapping[str, str]
    response: httpx.Response


@dataclass
class Wallet:
    """The wallet of *holder* with *credentials*, compact JWTs.

    - *client*: resolves DIDs and linked domains. *http*: fetches the request and posts the answer.
    - *nested_root*: where paths into a presentation start; other wallets say ``$.vp``.
    - *check_linkage*: off for verifiers whose DID can have no linked domain (did:jwk, did:key).
    """

    holder: Identity
    credentials: Sequence[str]
    client: GuardedClient
    http: httpx.AsyncClient
    nested_root: str = "$"
    check_linkage: bool = True
    resolver: DidResolver = field(init=False)

    def __post_init__(self) -> None:
        self.resolver = DidResolver(default_methods(self.client))

    async def present(self, uri: str) -> Answered:
        """Read the request behind *uri*, verify who asks, and answer. Raises `WalletRefusedError`."""
        asked = await self.read(uri)
        return await self.send(asked, self.answer(asked))

    async def decline(self, uri: str, error: str = "user_cancelled") -> Answered:
        """Answer that the user does not want to (SIOPv2, Self-Issued OpenID Provider Error Response)."""
        asked = await self.read(uri)
        return await self.send(asked, {"error": error, "state": asked.state})

    async def read(self, uri: str) -> Asked:
        """Fetch and verify the request object that *uri* points to. Raises `WalletRefusedError`."""
        parts = urlsplit(uri)
        named = parse_qs(parts.query).get("request_uri", [])
        if parts.scheme != SCHEME or len(named) != 1 or not named[0].startswith("https://"):
            raise WalletRefusedError("request uri")
        response = await self.http.get(named[0])
        media_type = response.headers.get("content-type", "").partition(";")[0]
        if response.status_code != httpx.codes.OK or media_type not in _MEDIA_TYPES:
            raise WalletRefusedError(f"request object: {response.status_code} {media_type}")
        return await self.verify(response.text)

    async def verify(self, request_object: str) -> Asked:
        """Verify *request_object* as the profile has it. Raises `WalletRefusedError`."""
        header = jwt.get_unverified_header(request_object)
        unverified = jwt.decode(request_object, options={"verify_signature": False})
        did = parse_did_url(header["kid"]).did.text
        if did != unverified.get("client_id"):
            raise WalletRefusedError("kid is not of client_id")
        document = await self._resolve(did)
        claims = _verified(request_object, header, document)
        self._check(claims)
        origin = await self._origin(document) if self.check_linkage else ""
        return Asked(
            client_id=did,
            origin=origin,
            redirect_uri=claims["redirect_uri"],
            nonce=claims["nonce"],
            state=claims["state"],
            definition=claims["claims"]["vp_token"]["presentation_definition"],
            registration=claims["registration"],
        )

    def answer(self, asked: Asked, **changes: Mapping[str, Any]) -> dict[str, str]:
        """The form that answers *asked*. *changes*: members of ``id_claims`` and ``vp_claims``."""
        chosen = self.choose(asked.definition)
        vp_claims = self.vp_claims(asked, list(chosen.values())) | dict(changes.get("vp_claims", {}))
        id_claims = self.id_claims(asked, list(chosen)) | dict(changes.get("id_claims", {}))
        return {
            "state": asked.state,
            "id_token": self.holder.sign(id_claims, typ=None),
            "vp_token": self.holder.sign(vp_claims),
        }

    def choose(self, definition: Mapping[str, Any]) -> dict[str, str]:
        """The credential for each input descriptor, by its id. Raises `WalletRefusedError`."""
        chosen: dict[str, str] = {}
        for descriptor in definition["input_descriptors"]:
            fitting = [each for each in self.credentials if _satisfies(descriptor, _claims_of(each))]
            if not fitting:
                raise WalletRefusedError(f"no credential for {descriptor['id']}")
            chosen[descriptor["id"]] = fitting[0]
        return chosen

    def vp_claims(self, asked: Asked, credentials: Sequence[str]) -> dict[str, Any]:
        """The claims of a presentation of *credentials*."""
        return self._times() | {
            "iss": self.holder.did,
            "aud": asked.client_id,
            "nonce": asked.nonce,
            "jti": f"urn:uuid:{uuid4()}",
            "vp": {
                "@context": ["https://www.w3.org/2018/credentials/v1"],
                "type": ["VerifiablePresentation"],
                "verifiableCredential": list(credentials),
            },
        }

    def id_claims(self, asked: Asked, descriptors: Sequence[str]) -> dict[str, Any]:
        """The claims of the self-issued ID token: the *descriptors* are answered in their order."""
        submission = {
            "id": str(uuid4()),
            "definition_id": asked.definition["id"],
            "descriptor_map": [
                self._descriptor(descriptor, index) for index, descriptor in enumerate(descriptors)
            ],
        }
        return self._times() | {
            "iss": SELF_ISSUED,
            "sub": self.holder.did,
            "aud": asked.client_id,
            "nonce": asked.nonce,
            "_vp_token": {"presentation_submission": submission},
        }

    async def send(self, asked: Asked, form: Mapping[str, str]) -> Answered:
        """Post *form*; redirects are not followed."""
        response = await self.http.post(asked.redirect_uri, data=dict(form), follow_redirects=False)
        return Answered(asked, form, response)

    def _descriptor(self, descriptor: str, index: int) -> dict[str, Any]:
        path = f"{self.nested_root}.verifiableCredential[{index}]"
        nested = {"id": descriptor, "format": "jwt_vc", "path": path}
        return {"id": descriptor, "format": "jwt_vp", "path": "$", "path_nested": nested}

    def _times(self) -> dict[str, Any]:
        now = int(time.time())
        return {"iat": now, "nbf": now, "exp": now + _LIFETIME}

    def _check(self, claims: Mapping[str, Any]) -> None:
        """What the profile fixes of a request, and that this wallet can answer it."""
        fixed = {"scope": "openid", "response_type": "id_token"}
        for name, value in fixed.items():
            if claims.get(name) != value:
                raise WalletRefusedError(name)
        if claims.get("response_mode") not in _MODES:
            raise WalletRefusedError("response_mode")
        if urlsplit(claims["redirect_uri"]).scheme != "https" or not claims["nonce"]:
            raise WalletRefusedError("redirect_uri or nonce")
        registration = claims["registration"]
        method = ":".join(self.holder.did.split(":")[:2])
        if method not in registration["subject_syntax_types_supported"]:
            raise WalletRefusedError("subject_syntax_types_supported")
        for kind in ("jwt_vp", "jwt_vc"):
            if self.holder.algorithm.value not in registration["vp_formats"][kind]["alg"]:
                raise WalletRefusedError("vp_formats")

    async def _resolve(self, did: str) -> DidDocument:
        try:
            return (await self.resolver.resolve(did)).document
        except DidError as error:
            raise WalletRefusedError(f"client_id: {error.fault}") from error

    async def _origin(self, document: DidDocument) -> str:
        """The domain that is shown to the user (JWT VC Presentation Profile, End-user Consent)."""
        linked = LinkedDomains(self.client)
        try:
            return str((await linked.require(document)).origin)
        except LinkageError as error:
            raise WalletRefusedError(f"linked domain: {error.fault}") from error
        finally:
            await linked.aclose()


def _verified(token: str, header: Mapping[str, Any], document: DidDocument) -> dict[str, Any]:
    """The claims of *token*, whose signature verifies under *document* and whose time is now."""
    if header["alg"] not in {each.value for each in ALGORITHMS}:
        raise WalletRefusedError("alg")
    try:
        key = document.signing_key(header["kid"], Algorithm(header["alg"]), any_of=_AUTHENTICATION)
        options: Any = {"verify_aud": False, "require": ["exp", "iat"]}
        return jwt.decode(token, key.public_key, [key.algorithm.value], options=options)
    except (DidError, jwt.PyJWTError) as error:
        raise WalletRefusedError(f"request object: {error}") from error


def _claims_of(credential: str) -> dict[str, Any]:
    return jwt.decode(credential, options={"verify_signature": False})


def _satisfies(descriptor: Mapping[str, Any], claims: Mapping[str, Any]) -> bool:
    """Whether a credential has the schema and the fields that *descriptor* asks for."""
    credential = claims["vc"]
    schemas = {each["uri"] for each in descriptor.get("schema", [])}
    if schemas and schemas.isdisjoint([*credential["type"], *credential["@context"]]):
        return False
    mapped = {
        **credential,
        "issuer": claims["iss"],
        "credentialSubject": {"id": claims.get("sub"), **credential["credentialSubject"]},
    }
    fields = descriptor.get("constraints", {}).get("fields", [])
    return all(_holds(each, claims) or _holds(each, mapped) for each in fields)


def _holds(wanted: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    for path in wanted["path"]:
        values = jsonpath.findall(path, document)
        if values:
            return Draft7Validator(wanted.get("filter", {})).is_valid(values[0])
    return bool(wanted.get("optional", False))
