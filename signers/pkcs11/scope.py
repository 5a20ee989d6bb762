"""What follows from a key URI and the options together, before any session is open."""

from signers.errors import KeyUriError
from signers.pkcs11.options import Pkcs11Options
from signers.pkcs11.token import Token
from signers.uri import Pkcs11Uri, parse_pkcs11_uri


def module_path(uri: Pkcs11Uri, options: Pkcs11Options) -> str:
    """The library for *uri*: its own module-path, else the configured one. Raises `KeyUriError`."""
    path = uri.module_path or options.module_path
    if path is None:
        raise KeyUriError(
            "No PKCS#11 module is named; add '?module-path=/path/to/module.so'.", key=uri.redacted
        )
    return path


def session_count(token: Token, wanted: int) -> int:
    """How many sessions may sign: *wanted*, unless the token allows fewer; one more holds the login."""
    allowed = token.session_limit
    return wanted if allowed is None else min(wanted, allowed - 1)


def own_uri(uri: str, token: Token, options: Pkcs11Options) -> Pkcs11Uri:
    """Parse the URI of a key on *token*. Raises `KeyUriError`."""
    parsed = parse(uri, options)
    if parsed.token_name != token.name:
        raise KeyUriError("The key belongs to another token than this provider.", key=parsed.redacted)
    if not token.has_same_pin(parsed):
        raise KeyUriError("Two keys of one token differ in pin-source; use one.", key=parsed.redacted)
    return parsed


def parse(uri: str, options: Pkcs11Options) -> Pkcs11Uri:
    """The URI of a key, under *options*. Raises `KeyUriError`."""
    return parse_pkcs11_uri(uri, allow_pin_value=options.allow_pin_value)
