"""One call, before it is made."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

Result = TypeVar("Result")

Service = Literal[
    "tokens",
    "authorizations",
    "introspection",
    "keys",
    "clients",
    "enrollment",
    "presentations",
    "audit",
]


_SERVICES = {
    "tokens": "TokenService",
    "authorizations": "AuthorizationService",
    "introspection": "IntrospectionService",
    "keys": "KeyService",
    "clients": "ClientService",
    "enrollment": "EnrollmentService",
    "presentations": "PresentationService",
    "audit": "AuditService",
}


@dataclass(frozen=True, slots=True)
class Operation(Generic[Result]):
    """An RPC with its arguments.

    - `service`, `method`: which stub, and which of its methods.
    - `request`: builds the request; called for every attempt, as an assertion is good for one only.
    - `result`: what the caller gets from the response.
    - `takes_proof`: whether a DPoP proof goes with it even where no token does.
    - `repeatable`: whether a second attempt does no harm where the first one took effect.
    """

    service: Service
    method: str
    request: Callable[[], Any]
    result: Callable[[Any], Result]
    repeatable: bool = True
    takes_proof: bool = False

    @property
    def path(self) -> str:
        """The full name of the method, ``/package.Service/Method``."""
        return f"/countersign.v1.{_SERVICES[self.service]}/{self.method}"


@dataclass(frozen=True, slots=True)
class Page(Generic[Result]):
    """One page of a list, and the token of the next; empty on the last one."""

    items: tuple[Result, ...]
    next_page_token: str
