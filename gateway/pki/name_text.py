"""Text that may stand in a certificate's name: visible, in one form, and not dressed up as other text.

A certificate's name is read by people and compared by programs, and whoever requests it wants it believed.
Refused are controls, bidirectional and invisible characters, text that is not in Unicode normalization form
C, compatibility letters and digits (such as mathematical bold), and words or digits of mixed scripts
(UTS #39 §5.2, level Highly Restrictive, and §5.3). Not detected: a word that is written wholly in another
script and looks like Latin; only the names that an operator permits can exclude it.
"""

import unicodedata

from gateway.pki.issuance_errors import RequestError, RequestFault

MAX_TEXT = 256  # characters
MAX_COMBINING = 4  # marks in a row; living languages need three.

# SOURCE: Unicode Standard Annex #9, Table 4 and §2.
_BIDIRECTIONAL = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Letters, marks and symbols that show nothing: Default_Ignorable_Code_Point outside the format characters
# (Unicode 15 DerivedCoreProperties), and the blank Braille pattern.
_INVISIBLE = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
) | frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
# Scripts that are written together in one word (UTS #39 §5.2), beside any one script alone.
_TOGETHER = (
    frozenset({"LATIN", "CJK", "HIRAGANA", "KATAKANA"}),
    frozenset({"LATIN", "CJK", "BOPOMOFO"}),
    frozenset({"LATIN", "CJK", "HANGUL"}),
)
# First words of character names that are not the name of the script.
_SCRIPT_OF_WORD = {"IDEOGRAPHIC": "CJK", "KATAKANA-HIRAGANA": "KATAKANA", "MODIFIER": None}


def require_name_text(value: str, *, maximum: int = MAX_TEXT) -> None:
    """*value* has 1 to *maximum* characters that may stand in a name; see the module.

    Raises `RequestError` with `EMPTY_TEXT`, `TEXT_TOO_LONG`, `CONTROL_CHARACTER`, `BIDIRECTIONAL_CHARACTER`,
    `INVISIBLE_CHARACTER`, `PROHIBITED_CHARACTER`, `NOT_NORMALIZED` or `LOOK_ALIKE`.
    """
    if not value.strip():
        raise RequestError(RequestFault.EMPTY_TEXT, "a value of the name is empty or blank")
    if len(value) > maximum:
        raise RequestError(RequestFault.TEXT_TOO_LONG, f"a value of the name exceeds {maximum} characters")
    if value != value.strip():
        raise RequestError(RequestFault.NOT_NORMALIZED, "a value of the name starts or ends with space")
    if value.isascii() and value.isprintable():
        return
    require_visible_text(value)
    if not unicodedata.is_normalized("NFC", value):
        raise RequestError(RequestFault.NOT_NORMALIZED, "a value of the name is not in form NFC")
    _require_few_marks(value)
    _require_one_script(value)


def require_visible_text(value: str) -> None:
    """Every character of *value* shows itself and means one thing.

    Raises `RequestError` with `CONTROL_CHARACTER`, `BIDIRECTIONAL_CHARACTER`, `INVISIBLE_CHARACTER`,
    `PROHIBITED_CHARACTER` or `LOOK_ALIKE`.
    """
    if not (value.isascii() and value.isprintable()):
        for character in value:
            _require_character(character)


def _require_character(character: str) -> None:
    category = unicodedata.category(character)
    if character in _BIDIRECTIONAL:
        raise RequestError(RequestFault.BIDIRECTIONAL_CHARACTER, "the name holds a bidirectional control")
    if category == "Cc":
        raise RequestError(RequestFault.CONTROL_CHARACTER, "the name holds a control character")
    if category == "Cf" or character in _INVISIBLE:
        raise RequestError(RequestFault.INVISIBLE_CHARACTER, "the name holds an invisible character")
    if category in {"Cs", "Co", "Cn", "Zl", "Zp"} or character == "\N{REPLACEMENT CHARACTER}":
        raise RequestError(
            RequestFault.PROHIBITED_CHARACTER, "the name holds a character of no fixed meaning"
        )
    if category == "Zs" and character != " ":
        raise RequestError(RequestFault.LOOK_ALIKE, "the name holds a space other than U+0020")
    if category[0] in "LN" and unicodedata.normalize("NFKC", character) != character:
        raise RequestError(RequestFault.LOOK_ALIKE, "the name holds a compatibility letter or digit")


def _require_few_marks(value: str) -> None:
    marks = 0
    for character in value:
        marks = marks + 1 if unicodedata.category(character).startswith("M") else 0
        if marks > MAX_COMBINING:
            raise RequestError(RequestFault.LOOK_ALIKE, f"more than {MAX_COMBINING} combining marks in a row")


def _require_one_script(value: str) -> None:
    zeros = {ord(character) - unicodedata.decimal(character) for character in value if character.isdecimal()}
    if len(zeros) > 1:
        raise RequestError(RequestFault.LOOK_ALIKE, "the name mixes digits of several scripts")
    for word in value.split():
        scripts = {script for character in word if (script := _script(character)) is not None}
        if len(scripts) > 1 and not any(scripts <= together for together in _TOGETHER):
            raise RequestError(RequestFault.LOOK_ALIKE, "a word of the name mixes scripts")


def _script(character: str) -> str | None:
    """The script of a letter, which its Unicode name starts with; None for what belongs to every script."""
    if not unicodedata.category(character).startswith("L"):
        return None
    word = unicodedata.name(character, "UNNAMED").split()[0]
    return _SCRIPT_OF_WORD.get(word, word)
