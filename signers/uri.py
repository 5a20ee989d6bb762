"""Key URIs: `pkcs11:` by RFC 7512, and `file:`. Parsed once into a frozen value; never echoed whole.

    pkcs11:token=hsm;object=tokens-es256?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/run/pin
    file:/etc/countersign/tokens.pem?passphrase-source=env:TOKENS_PASSPHRASE

An error names the attribute and the way to mend it, and never repeats an attribute's value, because a
mistyped URI may hold a PIN in any place.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from signers.errors import KeyUriError
from signers.uri_syntax import (
    SecretSource,
    decode_bytes,
    decode_text,
    escaped,
    parse_attributes,
    parse_source,
    scheme_of,
    split_uri,
)

__all__ = [
    "FileUri",
    "Pkcs11Uri",
    "SecretSource",
    "parse_file_uri",
    "parse_pkcs11_uri",
    "redact",
    "scheme_of",
]

_PATH_ATTRIBUTES = frozenset({"token", "object", "id", "serial", "manufacturer", "model", "slot-id", "type"})
_QUERY_ATTRIBUTES = frozenset({"module-path", "pin-source", "pin-value"})


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
        object_ = None if self.object is None else escaped(self.object)
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
            *((name, None if text is None else escaped(text)) for name, text in texts),
            ("slot-id", slot),
        )


def parse_file_uri(uri: str) -> FileUri:
    """Parse a `file:` URI (`file:/abs`, `file:///abs` or `file:relative`). Raises `KeyUriError`."""
    path, query = split_uri(uri, "file")
    if path.startswith("//"):
        host, slash, rest = path[2:].partition("/")
        if host not in ("", "localhost") or not slash:
            raise KeyUriError("A file: URI names no host; write 'file:/absolute/path.pem'.")
        path = "/" + rest
    decoded = decode_text("path", path)
    if not decoded or decoded.endswith("/"):
        raise KeyUriError("The file: URI names no file; write 'file:/absolute/path.pem'.")
    attributes = parse_attributes(query, "&", frozenset({"passphrase-source"}), "query")
    source = attributes.get("passphrase-source")
    return FileUri(decoded, None if source is None else parse_source("passphrase-source", source))


def parse_pkcs11_uri(uri: str, *, allow_pin_value: bool = False) -> Pkcs11Uri:
    """Parse a `pkcs11:` URI (RFC 7512 §2.3).

    `pin-value` is refused unless *allow_pin_value*: a PIN in a URI ends up in files, logs and process lists.
    Raises `KeyUriError`.
    """
    path, query = split_uri(uri, "pkcs11")
    names = parse_attributes(path, ";", _PATH_ATTRIBUTES, "path")
    options = parse_attributes(query, "&", _QUERY_ATTRIBUTES, "query")
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
    texts = {name: decode_text(name, names[name]) for name in names.keys() - {"id", "slot-id", "type"}}
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
        pin_source=None if source is None else parse_source("pin-source", source),
        pin_value=decode_text("pin-value", options["pin-value"]) if "pin-value" in options else None,
    )


def redact(uri: str) -> str:
    """*uri* as it may be shown: what names the key, without how it is reached. Raises `KeyUriError`."""
    scheme = scheme_of(uri)
    if scheme == "pkcs11":
        return parse_pkcs11_uri(uri, allow_pin_value=True).redacted
    if scheme == "file":
        return parse_file_uri(uri).redacted
    return f"{scheme}:{split_uri(uri, scheme)[0]}"


def _require_private(value: str | None) -> None:
    if value not in (None, "private"):
        raise KeyUriError("type must be 'private', because only a private key signs; or leave it out.")


def _require_lengths(texts: Mapping[str, str]) -> None:
    # CK_TOKEN_INFO holds these in fixed, blank-padded fields (PKCS#11 v2.40 §3.2).
    for name, limit in (("token", 32), ("manufacturer", 32), ("model", 16), ("serial", 16)):
        if len(texts.get(name, "").encode()) > limit:
            raise KeyUriError(f"{name} is longer than the {limit} bytes that a token can hold; correct it.")


def _key_id(value: str | None) -> bytes | None:
    return None if value is None else decode_bytes("id", value)


def _slot(value: str | None) -> int | None:
    if value is None:
        return None
    if not re.fullmatch(r"[0-9]{1,20}", value) or int(value) >= 1 << 64:
        raise KeyUriError("slot-id must be a decimal number below 2^64; or name the token by 'token='.")
    return int(value)


def _module_path(value: str | None) -> str | None:
    if value is None:
        return None
    path = decode_text("module-path", value)
    if not path.startswith("/"):
        raise KeyUriError(
            "module-path must be absolute, so that no search path decides which code is loaded."
        )
    return path
