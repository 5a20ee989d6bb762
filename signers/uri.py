"""Key URIs: `pkcs11:` by RFC 7512, and `file:`. Parsed once into a frozen value; never echoed whole.

    pkcs11:token=hsm;object=tokens-es256?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/run/pin
    file:/etc/countersign/tokens.pem?passphrase-source=env:TOKENS_PASSPHRASE

An error names the attribute and the way to mend it, and never repeats an attribute's value, because a
mistyped URI may hold a PIN in any place.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal
from urllib.parse import quote, unquote_to_bytes

from signers.errors import KeyUriError

MAX_URI_LENGTH = 4096

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_UNSAFE = re.compile(r"[\x00-\x20\x7f]")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PATH_ATTRIBUTES = frozenset({"token", "object", "id", "serial", "manufacturer", "model", "slot-id", "type"})
_QUERY_ATTRIBUTES = frozenset({"module-path", "pin-source", "pin-value"})
# What RFC 7512 §2.3 lets stand unescaped in a path attribute, less what `quote` always keeps.
_PK11_PATH_SAFE = ":[]@!$'()*+,=&"


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where a PIN or passphrase is read from: a file (path) or an environment variable (name)."""

    kind: Literal["file", "env"]
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True)
class FileUri:
    """A `file:` key URI. `path` is as written: absolute, or relative to the provider's base folder."""

    path: str
    passphrase_source: SecretSource | None = None

    @property
    def redacted(self) -> str:
        """The key's name for logs and errors."""
        return f"file:{self.path}"


@dataclass(frozen=True, slots=True)
class Pkcs11Uri:
    """A `pkcs11:` key URI (RFC 7512). Absent attributes are None; `id` is CKA_ID, decoded."""

    token: str | None = None
    object: str | None = None
    id: bytes | None = None
    serial: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    slot_id: int | None = None
    module_path: str | None = None
    pin_source: SecretSource | None = None
    pin_value: str | None = field(default=None, repr=False)

    @property
    def redacted(self) -> str:
        """The path attributes alone: they name the token and the key, and hold no secret."""
        key_id = None if self.id is None else "".join(f"%{byte:02X}" for byte in self.id)
        object_ = None if self.object is None else quote(self.object, safe=_PK11_PATH_SAFE)
        parts = (*self._token_attributes(), ("object", object_), ("id", key_id))
        return "pkcs11:" + ";".join(f"{name}={value}" for name, value in parts if value is not None)

    @property
    def token_name(self) -> str:
        """The attributes that name the token, as a `pkcs11:` URI; equal for two keys of one token."""
        named = (f"{name}={value}" for name, value in self._token_attributes() if value is not None)
        return "pkcs11:" + ";".join(named)

    def _token_attributes(self) -> tuple[tuple[str, str | None], ...]:
        texts = (
            ("token", self.token),
            ("serial", self.serial),
            ("manufacturer", self.manufacturer),
            ("model", self.model),
        )
        slot = None if self.slot_id is None else str(self.slot_id)
        return (
            *((name, None if text is None else quote(text, safe=_PK11_PATH_SAFE)) for name, text in texts),
            ("slot-id", slot),
        )


def scheme_of(uri: str) -> str:
    """The scheme of *uri*, in lower case. Raises `KeyUriError` where there is none."""
    if len(uri) > MAX_URI_LENGTH:
        raise KeyUriError(f"The key URI is longer than {MAX_URI_LENGTH} characters.")
    scheme, colon, _ = uri.partition(":")
    if not colon or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        raise KeyUriError("The key URI has no scheme; write 'file:/path/key.pem' or 'pkcs11:token=...'.")
    return scheme.lower()


def parse_file_uri(uri: str) -> FileUri:
    """Parse a `file:` URI (`file:/abs`, `file:///abs` or `file:relative`). Raises `KeyUriError`."""
    path, query = _split(uri, "file")
    if path.startswith("//"):
        host, slash, rest = path[2:].partition("/")
        if host not in ("", "localhost") or not slash:
            raise KeyUriError("A file: URI names no host; write 'file:/absolute/path.pem'.")
        path = "/" + rest
    decoded = _text("path", path)
    if not decoded or decoded.endswith("/"):
        raise KeyUriError("The file: URI names no file; write 'file:/absolute/path.pem'.")
    attributes = _attributes(query, "&", frozenset({"passphrase-source"}), "query")
    source = attributes.get("passphrase-source")
    return FileUri(decoded, None if source is None else _source("passphrase-source", source))


def parse_pkcs11_uri(uri: str, *, allow_pin_value: bool = False) -> Pkcs11Uri:
    """Parse a `pkcs11:` URI (RFC 7512 §2.3).

    `pin-value` is refused unless *allow_pin_value*: a PIN in a URI ends up in files, logs and process lists.
    Raises `KeyUriError`.
    """
    path, query = _split(uri, "pkcs11")
    names = _attributes(path, ";", _PATH_ATTRIBUTES, "path")
    options = _attributes(query, "&", _QUERY_ATTRIBUTES, "query")
    _require_private(names.get("type"))
    if "pin-value" in options and not allow_pin_value:
        raise KeyUriError("pin-value puts the PIN into the URI; use 'pin-source=file:/path/to/pin' instead.")
    if "pin-value" in options and "pin-source" in options:
        raise KeyUriError("pin-source and pin-value exclude each other; keep pin-source.")
    if not names.keys() & {"object", "id"}:
        raise KeyUriError("The URI names no key; add 'object=LABEL' or 'id=%01'.")
    if not names.keys() & {"token", "serial", "slot-id"}:
        raise KeyUriError("The URI names no token; add 'token=LABEL' or 'serial=NUMBER'.")
    source = options.get("pin-source")
    texts = {name: _text(name, names[name]) for name in names.keys() - {"id", "slot-id", "type"}}
    _require_lengths(texts)
    return Pkcs11Uri(
        token=texts.get("token"),
        object=texts.get("object"),
        id=_key_id(names.get("id")),
        serial=texts.get("serial"),
        manufacturer=texts.get("manufacturer"),
        model=texts.get("model"),
        slot_id=_slot(names.get("slot-id")),
        module_path=_module_path(options.get("module-path")),
        pin_source=None if source is None else _source("pin-source", source),
        pin_value=_text("pin-value", options["pin-value"]) if "pin-value" in options else None,
    )


def redact(uri: str) -> str:
    """*uri* as it may be shown: without any PIN that it holds. Raises `KeyUriError`."""
    if scheme_of(uri) == "pkcs11":
        return parse_pkcs11_uri(uri, allow_pin_value=True).redacted
    return parse_file_uri(uri).redacted


def _split(uri: str, scheme: str) -> tuple[str, str]:
    if scheme_of(uri) != scheme:
        raise KeyUriError(f"This is not a {scheme}: URI.")
    if not uri.isascii() or _UNSAFE.search(uri):
        raise KeyUriError("The key URI holds a space, control or non-ASCII character; percent-encode it.")
    if "#" in uri:
        raise KeyUriError("The key URI holds a '#'; percent-encode it as %23.")
    path, _, query = uri.partition(":")[2].partition("?")
    return path, query


def _attributes(text: str, separator: str, known: frozenset[str], part: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for item in text.split(separator) if text else ():
        name, equals, value = item.partition("=")
        if name not in known:
            shown = f"'{name}'" if equals and re.fullmatch(r"[a-z][a-z-]{0,31}", name) else "an attribute"
            raise KeyUriError(f"{shown} is not known in the {part}; known are {', '.join(sorted(known))}.")
        if not equals or not value:
            raise KeyUriError(f"{name} has no value; write '{name}=VALUE' or leave it out.")
        if name in found:
            raise KeyUriError(f"{name} is given twice; keep one.")
        found[name] = value
    return MappingProxyType(found)


def _bytes(name: str, value: str) -> bytes:
    if _BAD_PERCENT.search(value):
        raise KeyUriError(f"{name} holds a '%' that two hex digits do not follow; write it as %25.")
    return unquote_to_bytes(value)


def _text(name: str, value: str) -> str:
    try:
        text = _bytes(name, value).decode()
    except UnicodeDecodeError:
        raise KeyUriError(f"{name} is not UTF-8 once decoded; percent-encode its UTF-8 bytes.") from None
    if "\0" in text:
        raise KeyUriError(f"{name} holds a NUL character; remove %00.")
    return text


def _require_private(value: str | None) -> None:
    if value not in (None, "private"):
        raise KeyUriError("type must be 'private', because only a private key signs; or leave it out.")


def _require_lengths(texts: Mapping[str, str]) -> None:
    # CK_TOKEN_INFO holds these in fixed, blank-padded fields (PKCS#11 v2.40 §3.2).
    for name, limit in (("token", 32), ("manufacturer", 32), ("model", 16), ("serial", 16)):
        if len(texts.get(name, "").encode()) > limit:
            raise KeyUriError(f"{name} is longer than the {limit} bytes that a token can hold; correct it.")


def _key_id(value: str | None) -> bytes | None:
    return None if value is None else _bytes("id", value)


def _slot(value: str | None) -> int | None:
    if value is None:
        return None
    if not re.fullmatch(r"[0-9]{1,20}", value) or int(value) >= 1 << 64:
        raise KeyUriError("slot-id must be a decimal number below 2^64; or name the token by 'token='.")
    return int(value)


def _module_path(value: str | None) -> str | None:
    if value is None:
        return None
    path = _text("module-path", value)
    if not path.startswith("/"):
        raise KeyUriError(
            "module-path must be absolute, so that no search path decides which code is loaded."
        )
    return path


def _source(name: str, value: str) -> SecretSource:
    text = _text(name, value)
    kind, colon, rest = text.partition(":")
    if colon and kind == "env" and _ENV_NAME.match(rest):
        return SecretSource("env", rest)
    if colon and kind == "file":
        path = "/" + rest[2:].partition("/")[2] if rest.startswith("//") else rest
        if path.startswith("/") and path != "/":
            return SecretSource("file", path)
    raise KeyUriError(f"{name} must be 'file:/absolute/path' or 'env:NAME'.")
