"""How long a response may be kept (RFC 9111 §4.2), for a private cache of our own."""

import re
from email.utils import parsedate_to_datetime
from typing import Final

from gateway.fetching.message import Fetched

_SECONDS: Final = re.compile(r"[0-9]{1,10}")


def freshness_lifetime(fetched: Fetched) -> int | None:
    """Seconds for which *fetched* stays fresh from the moment it arrived; None where it does not say.

    ``no-store`` and ``no-cache`` give 0. ``max-age`` counts before ``Expires``; ``Age`` is taken off. What
    cannot be read counts as 0 (RFC 9111 §4.2.1 and §5.3): a caller has a lower bound of its own.
    """
    directives = _directives(fetched.headers.get("cache-control", ""))
    if "no-store" in directives or "no-cache" in directives:
        return 0
    if "max-age" in directives:
        return max(0, _seconds(directives["max-age"]) - _seconds(fetched.headers.get("age", "0")))
    if "expires" in fetched.headers:
        return _until_expiry(fetched)
    return None


def _directives(text: str) -> dict[str, str]:
    directives: dict[str, str] = {}
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        # Of a repeated directive the first counts, as RFC 9111 §4.2.1 prefers.
        directives.setdefault(name.strip().lower(), value.strip().strip('"'))
    return directives


def _seconds(text: str) -> int:
    return int(text) if _SECONDS.fullmatch(text) else 0


def _until_expiry(fetched: Fetched) -> int:
    try:
        expiry = parsedate_to_datetime(fetched.headers["expires"])
        date = parsedate_to_datetime(fetched.headers["date"])
        lifetime = int((expiry - date).total_seconds())
    except (KeyError, ValueError, TypeError):  # Without Date, or one with and one without a zone.
        return 0
    return max(0, lifetime - _seconds(fetched.headers.get("age", "0")))
