"""The configuration of presentations: the gateway's DID, how others' DIDs are resolved, and the verifiers."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from gateway.dids import DID_ALGORITHMS, DidError, parse_did
from gateway.presentations.linkage_errors import LinkageError
from gateway.presentations.origins import parse_origin
from gateway.settings.section import Section
from signers import Algorithm

ANY_ISSUER = "*"


def _did(value: str) -> str:
    try:
        return parse_did(value).text
    except DidError as error:
        raise ValueError(f"{error.message}; write it as did:web:verifier.example.org") from error


def _origin(value: str) -> str:
    try:
        return str(parse_origin(value))
    except LinkageError as error:
        raise ValueError(f"{error.message}; write it as https://verifier.example.org") from error


def _issuer(value: str) -> str:
    return value if value == ANY_ISSUER else _did(value)


def _algorithm(value: Algorithm) -> Algorithm:
    if value not in DID_ALGORITHMS:
        raise ValueError(f"DIDs sign with {', '.join(sorted(DID_ALGORITHMS))}")
    return value


_HTTPS = re.compile(r"https://[^\s#]{1,1900}")


def _https(value: str) -> str:
    if not _HTTPS.fullmatch(value):
        raise ValueError("write an https URL")
    return value


DidText = Annotated[str, AfterValidator(_did)]
IssuerText = Annotated[str, AfterValidator(_issuer)]
OriginText = Annotated[str, AfterValidator(_origin)]
DidAlgorithm = Annotated[Algorithm, AfterValidator(_algorithm)]
HttpsUrl = Annotated[str, AfterValidator(_https)]
MethodName = Literal["web", "ion", "jwk", "key"]


class VerifierSettings(Section):
    """One verifier: how it presents itself, and what it accepts.

    - `name`: 1 to 64 of ``a-z``, ``0-9`` and ``-``.
    - `callers`: names of the callers that may act as it; empty means every caller with the role verifier.
    - `client_name`, `client_purpose`, `logo_uri`, `tos_uri`: what a wallet shows the user.
    - `response_mode`: ``post`` as the profile has it, or ``direct_post``.
    - `response_origins`: origins that a caller may have answers and users sent to, beside the gateway's own
      endpoint.
    - `trusted_issuers`: the DIDs whose credentials are accepted, compared exactly, or ``*`` alone for any.
    - `did_methods`: of holders and issuers.
    - `algorithms`: of their signatures.
    - `require_assertion_method`: an issuer's key must stand under assertionMethod (DID Core §5.3.2), not just
      in the document. The profile's own vectors have it under authentication alone.
    - `equivalent_holder`: accept a long and a short form of one did:ion as one holder, where both resolve to
      the same keys.
    - `issuer_linkage`: whether an issuer's linked domain is checked: ``off``, ``if_declared``, ``required``.
    - `status_required`: refuse a credential without a status.
    - `status_unavailable`: what follows where a status list cannot be had: ``fail`` or ``accept``.
    - `status_max_age`: seconds that a list may be old; absent for what the list says.
    - `status_list_issuers`: by issuer, other DIDs that may sign its lists.
    - `max_age`: seconds since ``iat`` of ID token and presentation, which must be there.
    - `max_lifetime`: the furthest ``exp`` of both, in seconds from now.
    - `clock_skew`: seconds that another party's clock may be ahead or behind.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]
    callers: tuple[str, ...] = ()
    client_name: str = Field("Countersign", min_length=1, max_length=128)
    client_purpose: str | None = Field(None, max_length=512)
    logo_uri: HttpsUrl | None = None
    tos_uri: HttpsUrl | None = None
    response_mode: Literal["post", "direct_post"] = "post"
    response_origins: tuple[OriginText, ...] = ()
    trusted_issuers: tuple[IssuerText, ...] = Field(min_length=1)
    did_methods: tuple[MethodName, ...] = Field(("web", "ion", "jwk", "key"), min_length=1)
    algorithms: tuple[DidAlgorithm, ...] = Field(
        (Algorithm.ES256K, Algorithm.EDDSA, Algorithm.ES256, Algorithm.ES384), min_length=1
    )
    require_assertion_method: bool = True
    equivalent_holder: bool = False
    issuer_linkage: Literal["off", "if_declared", "required"] = "if_declared"
    status_required: bool = False
    status_unavailable: Literal["fail", "accept"] = "fail"
    status_max_age: int | None = Field(None, ge=60)
    status_list_issuers: dict[DidText, tuple[DidText, ...]] = Field(default_factory=dict)
    max_age: int = Field(600, ge=10, le=86_400)
    max_lifetime: int = Field(86_400, ge=60, le=30 * 86_400)
    clock_skew: int = Field(60, ge=0, le=300)

    @model_validator(mode="after")
    def _any_issuer_alone(self) -> Self:
        if ANY_ISSUER in self.trusted_issuers and len(self.trusted_issuers) > 1:
            raise ValueError("trusted_issuers: write * alone, or DIDs")
        return self


class PresentationSettings(Section):
    """What all verifiers share. Without `verifiers` there are no presentations.

    - `did`: the gateway's own; by default the did:web of `edge.public_url`, whose document the edge serves.
    - `algorithm`: of its keys with the purposes ``presentation-requests`` and ``linked-domains``.
    - `origins`: the origins that the DID is linked to; by default `edge.public_url`.
    - `request_lifetime`: seconds for which a request can be answered; a caller may ask for less.
    - `retention`: seconds for which a request and its checks are kept once it expired.
    - `deadline`: seconds that verifying one answer may take.
    - `ports`: that addresses of others may name: of did:web, status lists, hubs and DID configurations.
    - `ion_node`: URL of a Sidetree node, without ``/identifiers``; short forms of did:ion need one. None is
      the default.
    - `ion_networks`: networks of that node's host that may be private, in CIDR form.
    - `ion_state`: whether long forms are checked against the node: ``offline`` never, ``prefer_node`` while
      it can be asked, ``require_node`` always.
    - `ion_test_network`: accept DIDs of ION's test network.
    - `unsafe_non_canonical_ion`: accept long forms whose JSON is not in RFC 8785 order, which no Sidetree
      node resolves. The vectors of the JWT VC Presentation Profile are such; for tests with them only.
    - `loopback_names`, `loopback_ca`: host names that stand for this machine, and a PEM file of the roots
      that are trusted there: for development and tests. Neither reaches anything else, and both are off.
    - `demo_page`: serve ``/demo/verifier``, which lets whoever opens it ask wallets as any verifier: for
      development only. It needs `loopback_names`.
    """

    did: DidText | None = None
    algorithm: DidAlgorithm = Algorithm.ES256
    origins: tuple[OriginText, ...] = ()
    request_lifetime: int = Field(300, ge=10, le=3_600)
    retention: int = Field(86_400, ge=3_600, le=366 * 86_400)
    deadline: float = Field(8.0, gt=0, le=30)
    ports: tuple[Annotated[int, Field(ge=1, le=65_535)], ...] = Field((443,), min_length=1)
    ion_node: HttpsUrl | None = None
    ion_networks: tuple[str, ...] = ()
    ion_state: Literal["offline", "prefer_node", "require_node"] = "offline"
    ion_test_network: bool = False
    unsafe_non_canonical_ion: bool = False
    loopback_names: tuple[str, ...] = ()
    loopback_ca: Path | None = None
    demo_page: bool = False

    @model_validator(mode="after")
    def _page_in_development(self) -> Self:
        if self.demo_page and not self.loopback_names:
            raise ValueError("demo_page is for development, where loopback_names are set; remove it")
        return self

    @model_validator(mode="after")
    def _node_where_needed(self) -> Self:
        if self.ion_node is None and self.ion_state != "offline":
            raise ValueError("ion_state asks a node; name it in ion_node")
        return self

    @model_validator(mode="after")
    def _door_is_whole(self) -> Self:
        if bool(self.loopback_names) != (self.loopback_ca is not None):
            raise ValueError("loopback_names and loopback_ca go together; set both or neither")
        return self
