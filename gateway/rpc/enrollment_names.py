"""Names of EnrollmentService's resources: collections and ids by turns."""

import re
from typing import Final

from gateway.errors import Reason, RequestError

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")


def ids_of(name: str, *collections: str, field: str = "name") -> tuple[str, ...]:
    """The ids of *name*, which is made of *collections* (``accounts/1/orders/2``).

    Raises `RequestError`: MISSING_FIELD, INVALID_FIELD.
    """
    if not name:
        raise RequestError(Reason.MISSING_FIELD, "Name the resource.", field=field)
    parts = name.split("/")
    identifiers = parts[1::2]
    if tuple(parts[0::2]) != collections or not all(map(_ID.fullmatch, identifiers)):
        form = "/".join(f"{each}/{{id}}" for each in collections)
        raise RequestError(Reason.INVALID_FIELD, f"Write it as {form}.", field=field)
    return tuple(identifiers)


def account_name(account_id: str) -> str:
    """The name of an account."""
    return f"accounts/{account_id}"


def provisioner_name(name: str) -> str:
    """The name of a provisioner."""
    return f"provisioners/{name}"
