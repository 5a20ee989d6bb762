"""How a client wants its user logged in: ``prompt`` and ``max_age`` (OpenID Connect Core §3.1.2.1)."""

import re
from typing import Final

from gateway.errors import Reason, RequestError

_PROMPTS: Final = frozenset({"none", "login", "consent", "select_account"})
_NONE: Final = "none"
_SECONDS: Final = re.compile(r"[0-9]{1,9}")


def prompt_of(text: str) -> str | None:
    """*text* as sent, or None where it is empty.

    ``none`` stands alone. Raises `RequestError` INVALID_REQUEST.
    """
    if not text:
        return None
    asked = text.split(" ")
    if not _PROMPTS.issuperset(asked) or len(set(asked)) != len(asked) or (_NONE in asked and len(asked) > 1):
        raise RequestError(
            Reason.INVALID_REQUEST,
            "prompt is none, or a choice of login, consent and select_account.",
            field="prompt",
        )
    return text


def max_age_of(text: str) -> int | None:
    """Seconds, or None where *text* is empty. Raises `RequestError` INVALID_REQUEST."""
    if not text:
        return None
    if not _SECONDS.fullmatch(text):
        raise RequestError(Reason.INVALID_REQUEST, "max_age is a number of seconds.", field="max_age")
    return int(text)
