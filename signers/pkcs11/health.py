"""The state of a token in one value, for the process that holds its sessions."""

from signers.base import ProviderHealth
from signers.pkcs11.module import Module
from signers.pkcs11.token import Token


def token_health(module: Module, token: Token, *, size: int, stuck: int, timeout: float) -> ProviderHealth:
    """What is known now, without a call to the device.

    *stuck* of *size* sessions hang; administration counts as hanging after *timeout* seconds.
    """
    connected = token.is_connected(module.generation)
    if token.refusal is not None:
        detail = token.refusal
    elif not module.is_ready():
        detail = f"reconnecting: {module.cause}"
    elif not connected:
        detail = "the token is absent"
    elif stuck:
        detail = f"{stuck} of {size} sessions hang in the device"
    else:
        detail = f"{size} sessions"
    return ProviderHealth(
        available=connected and module.is_ready() and stuck < size,
        stuck_threads=stuck + module.is_administration_stuck(timeout),
        detail=detail,
    )
