"""What a refresh token says to its own client."""

from dataclasses import dataclass

from gateway.clock import Clock
from gateway.tokens.binding import Binding
from gateway.tokens.grant_ports import RefreshTokenRepository
from gateway.tokens.opaque import OpaqueKind, digest_of


@dataclass(frozen=True, slots=True)
class ActiveRefreshToken:
    """A refresh token in force. Times are whole seconds since the epoch; `expire_time` is the earlier of the
    end of its family and of its idle time.
    """

    issuer: str
    client_id: str
    subject: str
    scope: tuple[str, ...]
    audience: tuple[str, ...]
    issue_time: int
    expire_time: int
    binding: Binding | None


class RefreshTokenReader:
    """Reads refresh tokens without using them."""

    def __init__(self, *, issuer: str, repository: RefreshTokenRepository, clock: Clock) -> None:
        self._issuer = issuer
        self._repository = repository
        self._clock = clock

    async def read(self, token: str) -> ActiveRefreshToken | None:
        """What *token* says; None where it is unknown, used, revoked or expired."""
        digest = digest_of(OpaqueKind.REFRESH_TOKEN, token)
        stored = None if digest is None else await self._repository.find(digest)
        if stored is None or stored.consumed or stored.revoked:
            return None
        expire_time = min(stored.expire_time, stored.idle_expire_time)
        if self._clock() >= expire_time:
            return None
        authorization = stored.authorization
        return ActiveRefreshToken(
            issuer=self._issuer,
            client_id=authorization.client_id,
            subject=authorization.subject,
            scope=authorization.scope,
            audience=authorization.audience,
            issue_time=int(stored.issue_time),
            expire_time=int(expire_time),
            binding=authorization.binding,
        )
