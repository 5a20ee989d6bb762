"""Values that JWS headers and JWKs share: algorithm names and bounded texts."""

import re
from collections.abc import Mapping
from typing import Any

from gateway.jose.errors import JoseError, JoseFault
from signers import Algorithm

MAX_TEXT = 256  # characters

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ALGORITHMS: Mapping[str, Algorithm] = {
    **{algorithm.value: algorithm for algorithm in Algorithm},
    "Ed25519": Algorithm.EDDSA,  # RFC 9864 §2.2: the fully specified name of EdDSA on Ed25519.
}


def parse_algorithm(name: object) -> Algorithm:
    """The algorithm that an ``alg`` value names. Raises `JoseError` with one of the `ALG_` codes."""
    if not isinstance(name, str):
        raise JoseError(JoseFault.ALG_MISSING, "alg is missing or not a string", member="alg")
    algorithm = _ALGORITHMS.get(name)
    if algorithm is not None:
        return algorithm
    folded = name.lower()
    if folded == "none":
        raise JoseError(JoseFault.ALG_NONE, "an unsecured token is never accepted", member="alg")
    if folded.startswith("hs"):
        raise JoseError(JoseFault.ALG_SYMMETRIC, "a symmetric algorithm is never accepted", member="alg")
    raise JoseError(JoseFault.ALG_UNSUPPORTED, "the algorithm is not supported", member="alg")


def bounded_text(
    members: Mapping[str, Any], name: str, code: JoseFault, max_length: int = MAX_TEXT
) -> str | None:
    """The text of member *name*, None where absent.

    Present, it is a string of 1 to *max_length* characters without control characters. Raises `JoseError`
    with *code*.
    """
    if name not in members:
        return None
    value = members[name]
    if not isinstance(value, str) or not value:
        raise JoseError(code, f"{name} is not a string or is empty", member=name)
    if len(value) > max_length:
        raise JoseError(code, f"{name} exceeds {max_length} characters", member=name)
    if _CONTROL.search(value):
        raise JoseError(code, f"{name} holds a control character", member=name)
    return value
