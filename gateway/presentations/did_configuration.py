"""The DID Configuration Resource, ``/.well-known/did-configuration.json``: read and written.

Left out: Domain Linkage Credentials with Linked Data Proofs. They are well-formed members of a resource, so
they are counted and passed over, but never verified: that takes RDF canonicalization, and the profile has
credentials as JWTs only.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.jose import JoseError, JoseFault
from gateway.jose.strict_json import parse_object
from gateway.presentations.domain_linkage_credential import CONFIGURATION_CONTEXT, CONFIGURATION_CONTEXTS
from gateway.presentations.linkage_errors import LinkageError, LinkageFault

MAX_CONFIGURATION: Final = 128 * 1024  # octets
MAX_CREDENTIALS: Final = 32

_MEMBERS: Final = frozenset({"@context", "linked_dids"})


@dataclass(frozen=True, slots=True)
class DidConfiguration:
    """*credentials* are JWTs, in order and not yet parsed; *json_ld* counts the ones of the other form."""

    credentials: tuple[str, ...]
    json_ld: int


def parse_did_configuration(data: bytes) -> DidConfiguration:
    """Parse a resource of at most `MAX_CONFIGURATION` octets and `MAX_CREDENTIALS` credentials.

    Raises `LinkageError` with `CONFIGURATION_TOO_LARGE` or `INVALID_CONFIGURATION`.
    """
    try:
        members = parse_object(data, max_size=MAX_CONFIGURATION)
    except JoseError as error:
        too_large = error.code is JoseFault.JSON_TOO_LARGE
        fault = LinkageFault.CONFIGURATION_TOO_LARGE if too_large else LinkageFault.INVALID_CONFIGURATION
        raise LinkageError(fault, f"not strict JSON: {error.code}") from error
    if members.keys() != _MEMBERS:
        message = "the members are not exactly @context and linked_dids"
        raise LinkageError(LinkageFault.INVALID_CONFIGURATION, message)
    context, entries = members["@context"], members["linked_dids"]
    if not isinstance(context, str) or context not in CONFIGURATION_CONTEXTS:
        message = "@context is not the one of DID configurations"
        raise LinkageError(LinkageFault.INVALID_CONFIGURATION, message, member="@context")
    if not isinstance(entries, list) or len(entries) > MAX_CREDENTIALS:
        message = f"linked_dids is not an array of at most {MAX_CREDENTIALS}"
        raise LinkageError(LinkageFault.INVALID_CONFIGURATION, message, member="linked_dids")
    if not all(isinstance(entry, str | dict) for entry in entries):
        message = "an entry is neither a JWT nor an object"
        raise LinkageError(LinkageFault.INVALID_CONFIGURATION, message, member="linked_dids")
    credentials = tuple(entry for entry in entries if isinstance(entry, str))
    return DidConfiguration(credentials, len(entries) - len(credentials))


def did_configuration(credentials: Sequence[str]) -> bytes:
    """The resource that holds *credentials*, compact JWTs, as UTF-8 JSON."""
    resource = {"@context": CONFIGURATION_CONTEXT, "linked_dids": list(credentials)}
    return json.dumps(resource, separators=(",", ":")).encode()
