"""The syntax that all key URIs share: `scheme:name=value;name=value?name=value&name=value` (RFC 7512 §2.3).

An error names the attribute and the way to mend it, and never repeats an attribute's value, because a
mistyped URI may hold a secret in any place.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal
from urllib.parse import quote, unquote_to_bytes

from signers.errors import KeyUriError

MAX_URI_LENGTH = 4096

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_THIS_MACHINE = ("", "localhost")
_UNSAFE = re.compile(r"[\x00-\x20\x7f]")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
# What RFC 7512 §2.3 lets stand unescaped in a path attribute, less what `quote` always keeps.
_PATH_SAFE = ":[]@!$'()*+,=&"
_QUERY_SAFE = ":[]@!$'()*+,=/?|"


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where a PIN or passphrase is read from: a file (path) or an environment variable (name)."""

    kind: Literal["file", "env"]
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


def scheme_of(uri: str) -> str:
    """The scheme of *uri*, in lower case. Raises `KeyUriError` where there is none."""
    if len(uri) > MAX_URI_LENGTH:
        raise KeyUriError(f"The key URI is longer than {MAX_URI_LENGTH} characters.")
    scheme, colon, _ = uri.partition(":")
    if not colon or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        raise KeyUriError(
            "The key URI has no scheme; write 'file:/path/key.pem', 'pkcs11:token=...' or 'vault:key=...'."
        )
    return scheme.lower()


def split_uri(uri: str, scheme: str) -> tuple[str, str]:
    """The part of *uri* before its '?', without the scheme, and the part after it. Raises `KeyUriError`."""
    if scheme_of(uri) != scheme:
        raise KeyUriError(f"This is not a {scheme}: URI.")
    if not uri.isascii() or _UNSAFE.search(uri):
        raise KeyUriError("The key URI holds a space, control or non-ASCII character; percent-encode it.")
    if "#" in uri:
        raise KeyUriError("The key URI holds a '#'; percent-encode it as %23.")
    path, _, query = uri.partition(":")[2].partition("?")
    return path, query


def parse_attributes(text: str, separator: str, known: frozenset[str], part: str) -> Mapping[str, str]:
    """The attributes in *text*, still percent-encoded; *part* names it in errors.

    Each is one of *known*, has a value, and stands once. Raises `KeyUriError`.
    """
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


def decode_bytes(name: str, value: str) -> bytes:
    """The octets of the attribute *name*. Raises `KeyUriError`."""
    if _BAD_PERCENT.search(value):
        raise KeyUriError(f"{name} holds a '%' that two hex digits do not follow; write it as %25.")
    return unquote_to_bytes(value)


def decode_text(name: str, value: str) -> str:
    """The text of the attribute *name*: UTF-8 without NUL. Raises `KeyUriError`."""
    try:
        text = decode_bytes(name, value).decode()
    except UnicodeDecodeError:
        raise KeyUriError(f"{name} is not UTF-8 once decoded; percent-encode its UTF-8 bytes.") from None
    if "\0" in text:
        raise KeyUriError(f"{name} holds a NUL character; remove %00.")
    return text


def parse_source(name: str, value: str) -> SecretSource:
    """`source_of` the attribute *name*, still percent-encoded. Raises `KeyUriError`."""
    return source_of(name, decode_text(name, value))


def source_of(name: str, text: str) -> SecretSource:
    """Where *text* says that a secret is: 'file:/absolute/path' or 'env:NAME'. Raises `KeyUriError`."""
    kind, colon, rest = text.partition(":")
    if colon and kind == "env" and _ENV_NAME.match(rest):
        return SecretSource("env", rest)
    if colon and kind == "file":
        host, path = "", rest
        if rest.startswith("//"):
            host, slash, below = rest[2:].partition("/")
            path = slash + below
        if host in _THIS_MACHINE and path.startswith("/") and path != "/":
            return SecretSource("file", path)
    raise KeyUriError(f"{name} must be 'file:/absolute/path' or 'env:NAME'.")


def escaped(text: str) -> str:
    """*text* as it is written in a path attribute."""
    return quote(text, safe=_PATH_SAFE)


def query_escaped(text: str) -> str:
    """*text* as it is written in a query attribute."""
    return quote(text, safe=_QUERY_SAFE)
