"""The doors that take DPoP proofs, from the configuration."""

from dataclasses import dataclass

from gateway.clock import Clock
from gateway.config import ConfigurationError, Settings
from gateway.proofs.dpop import DpopPolicy, DpopVerifier
from gateway.proofs.nonces import MIN_SECRET_SIZE, ServerNonces
from gateway.tokens.dpop import DpopDoor
from gateway.tokens.ports import ReplayRepository


@dataclass(frozen=True, slots=True)
class DpopDoors:
    """`server` takes proofs for tokens (RFC 9449 §5), `api` those beside a token (§7)."""

    server: DpopDoor
    api: DpopDoor


def dpop_doors(settings: Settings, replay: ReplayRepository, clock: Clock) -> DpopDoors:
    """Both doors. Raises `ConfigurationError` where a secret cannot be read."""
    tokens = settings.tokens
    secrets = [_secret(settings, index) for index in range(len(tokens.dpop_nonce_secrets))]
    policy = DpopPolicy(
        algorithms=frozenset(tokens.dpop_algorithms),
        window=tokens.dpop_window,
        skew=tokens.clock_skew,
        nonce_required=tokens.dpop_nonce == "required",
    )

    def door(space: str) -> DpopDoor:
        nonces = ServerNonces(secrets, space=space, clock=clock) if secrets else None
        verifier = DpopVerifier(policy=policy, replay=replay, clock=clock, nonces=nonces)
        return DpopDoor(verifier, nonces, settings.public_origins())

    return DpopDoors(server=door("as"), api=door("rs"))


def _secret(settings: Settings, index: int) -> bytes:
    path = settings.path(settings.tokens.dpop_nonce_secrets[index])
    try:
        secret = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"tokens.dpop_nonce_secrets: {path} cannot be read: {error}; name a file of random bytes."
        ) from error
    if len(secret) < MIN_SECRET_SIZE:
        raise ConfigurationError(
            f"tokens.dpop_nonce_secrets: {path} holds fewer than {MIN_SECRET_SIZE} bytes; "
            "make it with: head -c 32 /dev/urandom."
        )
    return secret
