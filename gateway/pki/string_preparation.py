"""Preparing attribute values for comparison (RFC 4518), as caseIgnoreMatch asks (RFC 4517 §4.2.11)."""

import unicodedata

from gateway.pki.errors import PkiError, PkiFault

# Controls, format characters, surrogates and private use. RFC 4518 §2.2 maps the first two to nothing, so
# that "ad<ZERO WIDTH SPACE>min" and "admin" would be one name; here a value that holds one is refused.
_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co"})
# RFC 4518 §2.2 maps these controls to a space.
_SPACE_CONTROLS = frozenset("\t\n\v\f\r\x85")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"  # Prohibited by RFC 4518 §2.4.


def prepare(value: str) -> str:
    """*value* in the form under which equal values are equal strings.

    Case is folded, compatibility characters are normalized (NFKC), leading and trailing space is removed, and
    inner runs of space become one. Stricter than RFC 4518: invisible characters are refused, not removed.
    Raises `PkiError` with `INVALID_NAME`.
    """
    if value.isascii() and value.isprintable():
        return " ".join(value.lower().split())
    spaced = "".join(" " if _is_space(character) else character for character in value)
    if any(_is_refused(character) for character in spaced):
        raise PkiError(PkiFault.INVALID_NAME, "a value holds a character that cannot be compared")
    # Folding may denormalize and normalizing may unfold, so both are applied twice (Unicode §3.13, D145).
    folded = unicodedata.normalize("NFKC", spaced).casefold()
    folded = unicodedata.normalize("NFKC", folded).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def _is_space(character: str) -> bool:
    return character in _SPACE_CONTROLS or unicodedata.category(character).startswith("Z")


def _is_refused(character: str) -> bool:
    return character == _REPLACEMENT or unicodedata.category(character) in _REFUSED_CATEGORIES
