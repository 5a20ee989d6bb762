"""The RPCs of EnrollmentService, and those of TokenService that enrollment needs."""

from typing import Any

from countersign._operations.operation import Operation


def enrollment(method: str, request: Any, *, repeatable: bool = True) -> Operation[Any]:
    """A call of EnrollmentService whose result is the response itself."""
    return Operation("enrollment", method, lambda: request, lambda response: response, repeatable=repeatable)


def tokens(method: str, request: Any, *, repeatable: bool = True) -> Operation[Any]:
    """A call of TokenService whose result is the response itself."""
    return Operation("tokens", method, lambda: request, lambda response: response, repeatable=repeatable)
