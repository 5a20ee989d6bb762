"""Whatever is raised, as what a caller may be told: one way for every door."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from gateway.errors import AvailabilityError, GatewayError, Reason
from signers import errors as signer_errors

RETRY_AFTER: Final[Mapping[Reason, timedelta]] = {
    Reason.SIGNER_UNAVAILABLE: timedelta(seconds=1),
    Reason.SIGNER_BUSY: timedelta(seconds=0.2),
    Reason.NO_ACTIVE_KEY: timedelta(seconds=5),
    Reason.ISSUER_UNAVAILABLE: timedelta(seconds=5),
    Reason.IDENTITY_PROVIDER_UNAVAILABLE: timedelta(seconds=5),
    Reason.STORE_UNAVAILABLE: timedelta(seconds=1),
    Reason.AUDIT_UNAVAILABLE: timedelta(seconds=1),
    Reason.OVERLOADED: timedelta(seconds=0.5),
    Reason.RATE_LIMITED: timedelta(seconds=0.5),
    # Another replica can serve the call at once.
    Reason.SHUTTING_DOWN: timedelta(seconds=0.1),
}
"""When the same request may succeed, where the error itself names no time."""

OPERATOR_PAUSE: Final = timedelta(seconds=30)
"""Where a key does not sign until an operator has acted: deleted, disabled, or not permitted."""

MIN_PAUSE: Final = timedelta(milliseconds=10)
"""A shorter pause would only be a retry at once."""

SERVER_FAULTS: Final = frozenset(
    {
        Reason.SIGNER_UNAVAILABLE,
        Reason.NO_ACTIVE_KEY,
        Reason.ISSUER_UNAVAILABLE,
        Reason.STORE_UNAVAILABLE,
        Reason.AUDIT_UNAVAILABLE,
        Reason.INTERNAL,
    }
)
"""What an operator must see even where calls are not logged."""


def retry_after(error: GatewayError) -> timedelta | None:
    """How long to wait before the same request may succeed; None where waiting cannot help."""
    return error.retry_after if error.retry_after is not None else RETRY_AFTER.get(error.reason)


def cause_of(told: GatewayError) -> str:
    """What really happened, for our log only."""
    inner = told.__cause__
    if inner is None:
        return told.cause or ""
    text = f"{type(inner).__name__}: {inner}"
    return f"{told.cause}: {text}" if told.cause else text


def _signer_pause(error: signer_errors.SignerError) -> timedelta | None:
    """What the signer knows of it; long where an operator has to act first, None for the reason's own."""
    if error.retry_after is not None:
        return max(timedelta(seconds=error.retry_after), MIN_PAUSE)
    permanent = error.fault_class is signer_errors.FaultClass.PERMANENT
    return OPERATOR_PAUSE if permanent else None


def to_gateway_error(error: BaseException) -> GatewayError:
    """What a caller may be told of *error*; the error itself becomes the ``__cause__``.

    A signer's own time limit that passes while the caller still has time is the signer's failure, hence
    SIGNER_UNAVAILABLE. A cancellation is nobody's answer: `asyncio.CancelledError` is raised again.
    """
    match error:
        case GatewayError():
            return error
        case asyncio.CancelledError():
            raise error
        case signer_errors.SignerBusyError():
            told: GatewayError = AvailabilityError(
                Reason.SIGNER_BUSY,
                "Too many signatures are waiting; retry after a pause.",
                retry_after=_signer_pause(error),
            )
        case signer_errors.SignerError():
            told = AvailabilityError(
                Reason.SIGNER_UNAVAILABLE,
                "The signing key cannot be used now; nothing was issued.",
                retry_after=_signer_pause(error),
            )
        case TimeoutError():
            told = AvailabilityError(Reason.DEADLINE_EXCEEDED, "The deadline passed before the reply.")
        case _:
            told = GatewayError(
                Reason.INTERNAL,
                "An internal error; the gateway's log has it under the request id.",
            )
    told.__cause__ = error
    return told
