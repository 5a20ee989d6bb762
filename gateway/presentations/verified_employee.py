"""VerifiedEmployee credentials: what to ask for (the profile's §Credential type VerifiedEmployee)."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from gateway.errors import Reason, RequestError

TYPE: Final = "VerifiedEmployee"

LIMITS: Final[Mapping[str, int | None]] = {
    "displayName": 256,
    "givenName": 64,
    "surname": 64,
    "jobTitle": 128,
    "preferredLanguage": 35,  # BCP 47's longest useful tag; the profile says ISO 639-1, for example en-US.
    "photo": None,
    "mail": 320,  # RFC 3696, Errata 1690; the profile's vector has it, its text does not.
}
"""Characters of each claim, None where the profile sets no bound."""

_REQUIRED: Final = "displayName"
_PURPOSE: Final = "We need to verify that you have a valid VerifiedEmployee Verifiable Credential."
MAX_PURPOSE: Final = 2048  # characters


def verified_employee_definition(
    definition_id: UUID, required_claims: Sequence[str] = (), purpose: str = ""
) -> str:
    """A presentation definition (1.0.0) for one such credential, as JSON.

    ``displayName`` and *required_claims* must be there, and whatever of them is there keeps the profile's
    limits. Raises `RequestError` INVALID_FIELD for a claim that the type does not have.
    """
    unknown = [name for name in required_claims if name not in LIMITS]
    if unknown:
        raise RequestError(
            Reason.INVALID_FIELD,
            f"A VerifiedEmployee has {', '.join(LIMITS)}.",
            field="verified_employee.required_claims",
        )
    if len(purpose) > MAX_PURPOSE:
        message = f"A purpose has at most {MAX_PURPOSE} characters."
        raise RequestError(Reason.INVALID_FIELD, message, field="verified_employee.purpose")
    names = dict.fromkeys((_REQUIRED, *required_claims))
    descriptor = {
        "id": f"{TYPE}VC",
        "name": f"{TYPE}VC",
        "purpose": purpose or _PURPOSE,
        "schema": [{"uri": TYPE, "required": True}],
        "constraints": {"fields": [_field(name) for name in names]},
    }
    return json.dumps({"id": str(definition_id), "input_descriptors": [descriptor]}, separators=(",", ":"))


def _field(name: str) -> dict[str, Any]:
    members: dict[str, Any] = {"path": [f"$.vc.credentialSubject.{name}", f"$.credentialSubject.{name}"]}
    limit = LIMITS[name]
    if limit is not None:
        members["filter"] = {"type": "string", "minLength": 1, "maxLength": limit}
    return members
