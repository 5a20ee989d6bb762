"""What requests need remembered. `gateway.store` implements it; each method is one atomic decision.

All raise `AvailabilityError` (``STORE_UNAVAILABLE``) when the database cannot answer or cannot write, and in
that case nothing was changed. Times are seconds since the epoch.
"""

from typing import Protocol

from gateway.presentations.request import PresentationRequest, RequestRecord
from gateway.presentations.result import VerificationResult


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
