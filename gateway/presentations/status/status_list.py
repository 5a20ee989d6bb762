"""Reading a status list: its signature, its shape and its bits. What it says of one entry is `evaluation`.

How a signature is verified is the caller's: a `TokenVerifier` has its keys resolved beforehand and is called
here with the text of the list. Only what it returns is looked at.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from gateway.jose import JoseError, media_type_matches
from gateway.presentations.status.bits import SIZES, BitOrder, capacity, read
from gateway.presentations.status.coding import decode_bitstring, decode_token_list
from gateway.presentations.status.entry import Dialect
from gateway.presentations.status.rules import StatusCheck, StatusError

logger = logging.getLogger(__name__)

MAX_TOKEN: Final = 12 * 1024 * 1024  # octets of a list as fetched
MAX_NUMERIC_DATE: Final = 253_402_300_799  # 9999-12-31T23:59:59Z, in seconds
MAX_PURPOSES: Final = 8

TOKEN_TYPE: Final = "statuslist+jwt"

# The type of the credential and of its subject, the dialect, and the purpose where the type says it.
_SUBJECTS: Final[Mapping[str, tuple[str, Dialect, str | None]]] = {
    "RevocationList2021": ("StatusList2021Credential", Dialect.REVOCATION_LIST_2021, "revocation"),
    "SuspensionList2021": ("StatusList2021Credential", Dialect.REVOCATION_LIST_2021, "suspension"),
    "StatusList2021": ("StatusList2021Credential", Dialect.STATUS_LIST_2021, None),
    "BitstringStatusList": ("BitstringStatusListCredential", Dialect.BITSTRING, None),
}


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """A JWT whose signature was verified with a key of *issuer*; *typ* is as in its header."""

    issuer: str
    typ: str | None
    claims: Mapping[str, Any] = field(repr=False)


class TokenVerifier(Protocol):
    """Verifies a compact JWT: algorithm, key, signature, and that ``iss``, where present, is whose key it is.

    Raises `JoseError`. It bounds the text's size; a list may be larger than an access token
    (`parse_compact(..., max_size=MAX_TOKEN)`).
    """

    def __call__(self, token: str) -> VerifiedToken:
        """What *token* says, verified."""


@dataclass(frozen=True, slots=True)
class StatusList:
    """A status list that was verified and read; it may be kept and asked again until it expires.

    - `uri`: how the list names itself. `issuer`: whose key signed it.
    - `purposes`: empty for a token. `size`: bits of a value where the list says it (a token), else None.
    - `issued_at`, `not_before`, `expires_at`: seconds since the epoch, None where it does not say.
    - `ttl`: seconds for which a copy may be kept, None where it does not say.
    """

    dialect: Dialect
    uri: str
    issuer: str
    purposes: frozenset[str]
    packed: bytes = field(repr=False)
    size: int | None = None
    issued_at: float | None = None
    not_before: float | None = None
    expires_at: float | None = None
    ttl: float | None = None

    def entries(self, size: int) -> int:
        """How many values of *size* bits the list has."""
        return capacity(self.packed, size)

    def value(self, index: int, size: int) -> int:
        """The value at *index*. Raises `IndexError` outside of the list."""
        order = (
            BitOrder.LEAST_SIGNIFICANT_FIRST
            if self.dialect is Dialect.TOKEN
            else BitOrder.MOST_SIGNIFICANT_FIRST
        )
        return read(self.packed, index, size, order)


def read_list(body: bytes, verify: TokenVerifier, *, max_inflated: int) -> StatusList:
    """The status list that *body*, a compact JWT as fetched, holds. Raises `StatusError`.

    A list with an embedded proof (JSON-LD) is refused: only JWTs are verified here.
    """
    if len(body) > MAX_TOKEN:
        raise StatusError(StatusCheck.LIST_SIZE, f"the list exceeds {MAX_TOKEN} octets")
    try:
        token = body.decode("ascii").strip(" \t\r\n")
    except UnicodeDecodeError as error:
        raise StatusError(StatusCheck.LIST_SIGNATURE, "the list is not a compact JWT") from error
    try:
        verified = verify(token)
    except JoseError as error:
        logger.info("A status list does not verify: %s.", error.code)
        raise StatusError(StatusCheck.LIST_SIGNATURE, "the list does not verify") from error
    if verified.typ is not None and media_type_matches(verified.typ, TOKEN_TYPE):
        return _read_token(verified, max_inflated)
    return _read_credential(verified, max_inflated)


def _read_token(verified: VerifiedToken, max_inflated: int) -> StatusList:
    """Token Status List §5.1."""
    claims = verified.claims
    body = claims.get("status_list")
    if not isinstance(body, dict):
        raise _malformed("status_list is missing", "$.status_list")
    size = body.get("bits")
    if isinstance(size, bool) or not isinstance(size, int) or size not in SIZES:
        raise _malformed("bits is not 1, 2, 4 or 8", "$.status_list.bits")
    if "iat" not in claims:
        raise _malformed("iat is missing", "$.iat")
    ttl = claims.get("ttl")
    if ttl is not None and (isinstance(ttl, bool) or not isinstance(ttl, int | float) or not ttl > 0):
        raise _malformed("ttl is not a positive number", "$.ttl")
    return StatusList(
        dialect=Dialect.TOKEN,
        uri=_text(claims.get("sub"), "$.sub"),
        issuer=verified.issuer,
        purposes=frozenset(),
        packed=decode_token_list(_text(body.get("lst"), "$.status_list.lst"), max_inflated=max_inflated),
        size=size,
        issued_at=_numeric_date(claims, "iat"),
        not_before=_numeric_date(claims, "nbf"),
        expires_at=_numeric_date(claims, "exp"),
        ttl=ttl,
    )


def _read_credential(verified: VerifiedToken, max_inflated: int) -> StatusList:
    """A list credential: in ``vc`` with registered claims (VCDM 1.1 §6.3.1) or as the payload (VC JOSE)."""
    claims = verified.claims
    inner = claims.get("vc")
    credential, path = (inner, "$.vc") if isinstance(inner, dict) else (claims, "$")
    subject = credential.get("credentialSubject")
    if "status_list" in claims:
        raise StatusError(StatusCheck.LIST_TYPE, f"the typ of the token is not {TOKEN_TYPE}")
    if not isinstance(subject, dict):
        raise _malformed("credentialSubject is not one object", f"{path}.credentialSubject")
    kind = subject.get("type")
    if not isinstance(kind, str) or kind not in _SUBJECTS:
        raise StatusError(StatusCheck.LIST_TYPE, "the subject is no status list", path=path)
    credential_type, dialect, purpose = _SUBJECTS[kind]
    types = credential.get("type")
    if not isinstance(types, list) or credential_type not in types:
        raise StatusError(StatusCheck.LIST_TYPE, f"the credential is no {credential_type}", path=path)
    encoded = _text(subject.get("encodedList"), f"{path}.credentialSubject.encodedList")
    return StatusList(
        dialect=dialect,
        uri=_identifier(claims, credential, path),
        issuer=_issuer(verified, credential, path),
        purposes=_purposes(subject.get("statusPurpose"), path) if purpose is None else frozenset({purpose}),
        packed=decode_bitstring(encoded, max_inflated=max_inflated),
        issued_at=_numeric_date(claims, "iat"),
        # What is stated twice is held to both.
        not_before=max(_times(claims, "nbf", credential, ("issuanceDate", "validFrom"), path), default=None),
        expires_at=min(
            _times(claims, "exp", credential, ("expirationDate", "validUntil"), path), default=None
        ),
        ttl=_milliseconds(subject.get("ttl"), path),
    )


def _identifier(claims: Mapping[str, Any], credential: Mapping[str, Any], path: str) -> str:
    """The list's own id: ``jti`` (VCDM 1.1 §6.3.1) or ``id``; where both are there, they are the same."""
    names = [value for value in (claims.get("jti"), credential.get("id")) if value is not None]
    if not names or names[0] != names[-1]:
        raise StatusError(StatusCheck.LIST_IDENTITY, "the list has no id, or more than one", path=path)
    return _text(names[0], f"{path}.id")


def _issuer(verified: VerifiedToken, credential: Mapping[str, Any], path: str) -> str:
    """Whose key verified; the credential names nobody else."""
    issuer = credential.get("issuer", verified.issuer)
    if (issuer.get("id") if isinstance(issuer, dict) else issuer) != verified.issuer:
        raise StatusError(StatusCheck.LIST_ISSUER, "the list names another issuer", path=f"{path}.issuer")
    return verified.issuer


def _purposes(value: Any, path: str) -> frozenset[str]:
    purposes = value if isinstance(value, list) else [value]
    if not 1 <= len(purposes) <= MAX_PURPOSES or not all(isinstance(item, str) for item in purposes):
        raise _malformed("statusPurpose is missing", f"{path}.credentialSubject.statusPurpose")
    return frozenset(purposes)


def _numeric_date(claims: Mapping[str, Any], name: str) -> float | None:
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_NUMERIC_DATE:
        raise _malformed(f"{name} is not a time", f"$.{name}")
    return value


def _times(
    claims: Mapping[str, Any], claim: str, credential: Mapping[str, Any], members: tuple[str, ...], path: str
) -> list[float]:
    stated = [_numeric_date(claims, claim), *(_date(credential, name, path) for name in members)]
    return [moment for moment in stated if moment is not None]


def _date(credential: Mapping[str, Any], name: str, path: str) -> float | None:
    if name not in credential:
        return None
    text = _text(credential[name], f"{path}.{name}")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise _malformed(f"{name} is not a time", f"{path}.{name}") from error
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _milliseconds(value: Any, path: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise _malformed("ttl is not a number of milliseconds", f"{path}.credentialSubject.ttl")
    return value / 1000


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str) or not value:
        raise _malformed("a text is expected", path)
    return value


def _malformed(message: str, path: str) -> StatusError:
    return StatusError(StatusCheck.LIST_WELL_FORMED, message, path=path)
