"""Where a KMS keeps a key: the URI attribute `protection-level`."""

from enum import StrEnum

from signers.errors import KeyUnusableError, KeyUriError
from signers.remote.uri import RemoteUri

ATTRIBUTE = "protection-level"


class ProtectionLevel(StrEnum):
    """What both vendors that let one choose have."""

    SOFTWARE = "software"
    HSM = "hsm"


def protection_level_of(uri: RemoteUri) -> ProtectionLevel | None:
    """What *uri* asks for, of new keys and existing ones; None asks for nothing. Raises `KeyUriError`."""
    value = uri.query.get(ATTRIBUTE)
    try:
        return None if value is None else ProtectionLevel(value)
    except ValueError:
        raise KeyUriError(f"{ATTRIBUTE} must be 'software' or 'hsm'.") from None


def require_protection(found: str, wanted: ProtectionLevel | None, *, key: str) -> None:
    """Raise `KeyUnusableError` where the key is *found* elsewhere than *wanted*."""
    if wanted is not None and found != wanted:
        raise KeyUnusableError(
            f"The key's protection level is {found}, and the URI asks for {wanted}.", key=key
        )


def query_with(query: str, level: ProtectionLevel | None) -> str:
    """*query*, empty or beginning with '?', and what *level* asks for."""
    if level is None:
        return query
    return f"{query}{'&' if query else '?'}{ATTRIBUTE}={level}"
