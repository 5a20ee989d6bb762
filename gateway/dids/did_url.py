"""DIDs and DID URLs, parsed once by the ABNF of DID Core §3.1 and §3.2."""

import re
from dataclasses import dataclass
from typing import Final

from gateway.dids.errors import DidError, DidFault

MAX_DID: Final = 4096  # characters; a long-form did:ion has about 1,700
MAX_DID_URL: Final = 8192  # characters

_PCT: Final = r"%[0-9A-Fa-f]{2}"
_PCHAR: Final = rf"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|{_PCT})"
# Possessive, so that a text of any length is read once: the ABNF says no more than that the last is no colon.
_DID: Final = re.compile(rf"did:(?P<method>[a-z0-9]+):(?P<identifier>(?:[A-Za-z0-9.\-_:]++|{_PCT})++)(?<!:)")
_PATH: Final = re.compile(rf"(?:/{_PCHAR}*)*")
_QUERY: Final = re.compile(rf"(?:{_PCHAR}|[/?])*")
_FRAGMENT: Final = _QUERY
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Did:
    """``did:<method>:<identifier>`` as spelled: DIDs are compared octet for octet (RFC 3986 §6.2.1)."""

    text: str
    method: str
    identifier: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class DidUrl:
    """A DID with a path, a query and a fragment, each as spelled and without its first sign.

    *path* is empty or starts with a slash; *query* and *fragment* are None where absent.
    """

    did: Did
    path: str = ""
    query: str | None = None
    fragment: str | None = None

    def __str__(self) -> str:
        text = self.did.text + self.path
        if self.query is not None:
            text += f"?{self.query}"
        return text if self.fragment is None else f"{text}#{self.fragment}"

    def parameter(self, name: str) -> str | None:
        """The value of DID parameter *name* (DID Core §3.2.1), percent-decoded; None where it is absent.

        A plus sign stands for itself. Raises `DidError` where the parameter is repeated or is not UTF-8.
        """
        pairs = [pair.partition("=") for pair in (self.query or "").split("&")]
        values = [value for key, _, value in pairs if percent_decode(key) == name]
        if len(values) > 1:
            raise DidError(DidFault.INVALID_DID_URL, "a parameter is repeated", member="query")
        return percent_decode(values[0]) if values else None


def parse_did(text: str) -> Did:
    """The DID that *text*, 1 to `MAX_DID` characters, is, with no path, query or fragment (DID Core §3.1).

    Raises `DidError` with `INVALID_DID`.
    """
    if len(text) > MAX_DID:
        raise DidError(DidFault.INVALID_DID, f"the DID exceeds {MAX_DID} characters")
    match = _DID.fullmatch(text)
    if match is None:
        raise DidError(DidFault.INVALID_DID, "not a DID")
    return Did(text, match["method"], match["identifier"])


def parse_did_url(text: str) -> DidUrl:
    """The absolute DID URL that *text*, at most `MAX_DID_URL` characters, is (DID Core §3.2).

    Raises `DidError` with `INVALID_DID_URL` or `INVALID_DID`.
    """
    if len(text) > MAX_DID_URL:
        raise DidError(DidFault.INVALID_DID_URL, f"the DID URL exceeds {MAX_DID_URL} characters")
    end = min((at for at in map(text.find, "/?#") if at >= 0), default=len(text))
    return _with_reference(parse_did(text[:end]), text[end:])


def resolve_reference(reference: str, base: Did) -> DidUrl:
    """An absolute DID URL, or a relative one resolved against *base* (DID Core §3.2.2).

    A relative one starts with a slash, a question mark or a number sign. One that starts with a path segment
    is refused: RFC 3986 §5.2.3 would merge it into the identifier. Raises `DidError`.
    """
    if reference.startswith("did:"):
        return parse_did_url(reference)
    if len(reference) > MAX_DID_URL or not reference.startswith(("/", "?", "#")):
        raise DidError(DidFault.INVALID_DID_URL, "neither a DID URL nor a relative one")
    return _with_reference(base, reference)


def is_fragment(text: str) -> bool:
    """Whether *text* is a fragment of 1 to `MAX_DID` characters (RFC 3986 §3.5)."""
    return 0 < len(text) <= MAX_DID and _FRAGMENT.fullmatch(text) is not None


def percent_decode(text: str) -> str:
    """*text* with its percent escapes decoded as UTF-8. Raises `DidError` with `INVALID_DID_URL`."""
    try:
        return _ESCAPE.sub(lambda match: bytes((int(match[1], 16),)), text.encode("ascii")).decode("utf-8")
    except ValueError as error:
        raise DidError(DidFault.INVALID_DID_URL, "an escape is not UTF-8") from error


def _with_reference(did: Did, rest: str) -> DidUrl:
    rest, number_sign, fragment = rest.partition("#")
    path, question_mark, query = rest.partition("?")
    for name, value, pattern in (
        ("path", path, _PATH),
        ("query", query, _QUERY),
        ("fragment", fragment, _FRAGMENT),
    ):
        if not pattern.fullmatch(value):
            raise DidError(DidFault.INVALID_DID_URL, f"the {name} has a character not allowed", member=name)
    return DidUrl(did, path, query if question_mark else None, fragment if number_sign else None)
