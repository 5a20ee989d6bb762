"""Is what was issued still in force? By the token's own id, and by the grant that it came from."""

from collections.abc import Sequence

from gateway.tokens.access_token import AccessToken
from gateway.tokens.grant_ports import GrantRepository
from gateway.tokens.ports import RevocationRepository


class RevocationStatus:
    """Asks the database, on every look: no replica answers from a stale copy."""

    def __init__(self, *, revocations: RevocationRepository, grants: GrantRepository) -> None:
        self._revocations = revocations
        self._grants = grants

    async def is_revoked(self, token: AccessToken) -> bool:
        """Whether *token*, or its grant, is revoked. Raises `AvailabilityError`."""
        if await self._revocations.is_revoked(token.token_id):
            return True
        return token.grant_id is not None and await self._grants.is_revoked(token.grant_id)

    async def in_force(self, tokens: Sequence[AccessToken | None]) -> list[AccessToken | None]:
        """*tokens*, with None in place of the revoked ones: one look for all, at most 1,000."""
        present = [token for token in tokens if token is not None]
        revoked = await self._revocations.revoked_among([token.token_id for token in present])
        grant_ids = list({token.grant_id for token in present if token.grant_id is not None})
        ended = await self._grants.revoked_among(grant_ids) if grant_ids else frozenset()
        return [
            None if token is None or token.token_id in revoked or token.grant_id in ended else token
            for token in tokens
        ]
