"""What requests need remembered. `gateway.store` implements it; each method is one atomic decision.

All raise `AvailabilityError` (``STORE_UNAVAILABLE``) when the database cannot answer or cannot write, and in
that case nothing was changed. Times are seconds since the epoch.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from gateway.presentations.request import PresentationRequest, RequestRecord
from gateway.presentations.result import VerificationResult

MAX_REVISIONS: Final = 1_000
"""Requests whose revisions one statement reads."""


class PresentationRequestRepository(Protocol):
    """Requests and what became of them."""

    async def insert(self, request: PresentationRequest, *, keep_until: float) -> bool:
        """Remember *request* until *keep_until*; False, and no change, where nonce or state was used."""
        ...

    async def find(self, request_id: str) -> RequestRecord | None:
        """The request as it is now, or None."""
        ...

    async def fetch(self, request_id: str, *, now: float) -> RequestRecord | None:
        """Note that a wallet fetched the request, where it is open at *now*; the request as it is then.

        None where there is no such request.
        """
        ...

    async def claim(self, state: str, *, owner: str | None, now: float) -> tuple[RequestRecord, bool] | None:
        """Use the request with *state* up for one answer: True for exactly one caller, while it is open.

        None where there is none, or, with *owner*, where it is another caller's; that one changes nothing.
        """
        ...

    async def settle(
        self, request_id: str, *, result: VerificationResult | None, wallet_error: str | None, now: float
    ) -> RequestRecord | None:
        """Write what came of the claimed answer; None, and no change, where the claim's lease is over."""
        ...

    async def revisions(self, request_ids: Sequence[str]) -> Mapping[str, int]:
        """The revision of each of up to `MAX_REVISIONS` *request_ids* that is there, in one statement."""
        ...

    def listen(self, listener: Callable[[str], None]) -> None:
        """Call *listener* with the id of each request that this process has changed, once that is committed.

        Other processes' changes are not told. It must not wait and must not raise.
        """
        ...
