"""Who the call under way is for, where it cannot be handed down: in the audit log."""

from contextvars import ContextVar
from typing import Final

current_caller: Final[ContextVar[str]] = ContextVar("caller", default="")
"""The name of the principal, empty for nobody and outside a call."""
