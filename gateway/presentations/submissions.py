"""Answers to our requests: each uses its request up, is verified, and leaves its report with the request."""

import asyncio
import logging
from datetime import timedelta
from typing import Final

from gateway.clock import Clock, system_clock
from gateway.errors import AvailabilityError, GatewayError, Reason
from gateway.presentations.definitions import definition_of
from gateway.presentations.ports import PresentationRequestRepository
from gateway.presentations.request import PresentationResponse, RequestRecord
from gateway.presentations.requests import closed, not_found
from gateway.presentations.result import VerificationResult
from gateway.presentations.verification import PresentationVerifier, VerificationInput
from gateway.presentations.verifier import Verifiers

logger = logging.getLogger(__name__)

_RETRY_AFTER: Final = timedelta(seconds=1)


class PresentationSubmissions:
    """Takes answers from wallets, whichever door they come through. Belongs to one event loop.

    An answer is judged to its end even where whoever sent it has gone: otherwise a wallet that hangs up could
    keep its refusal from the verifier. `aclose` waits for those under way, each of which has a deadline.
    """

    def __init__(
        self,
        verifiers: Verifiers,
        repository: PresentationRequestRepository,
        verifier: PresentationVerifier,
        *,
        limit: int = 256,
        clock: Clock = system_clock,
    ) -> None:
        """*limit*: answers under way at once; one more is refused as OVERLOADED."""
        self._verifiers = verifiers
        self._repository = repository
        self._verifier = verifier
        self._limit = limit
        self._clock = clock
        self._under_way: set[asyncio.Task[RequestRecord]] = set()

    async def submit(self, response: PresentationResponse, *, owner: str | None = None) -> RequestRecord:
        """Use up the request that *response* answers, verify it, and write what came of it.

        With *owner*, only that caller's requests are found. An answer that does not hold is no error: the
        record says so, to the verifier as well. Raises `StateError` PRESENTATION_REQUEST_NOT_FOUND or
        PRESENTATION_REQUEST_CLOSED, `AvailabilityError`.
        """
        if len(self._under_way) >= self._limit:
            message = "Too many answers are being verified."
            raise AvailabilityError(Reason.OVERLOADED, message, retry_after=_RETRY_AFTER)
        task = asyncio.create_task(self._submit(response, owner))
        self._under_way.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    async def aclose(self) -> None:
        """Wait for the answers under way. Idempotent."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _submit(self, response: PresentationResponse, owner: str | None) -> RequestRecord:
        now = self._clock()
        claimed = await self._repository.claim(response.state, owner=owner, now=now)
        if claimed is None:
            raise not_found()
        record, ours = claimed
        if not ours:
            raise closed(record, now)
        result = None if response.error else await self._verify(record, response)
        settled = await self._repository.settle(
            record.request.request_id,
            result=result,
            wallet_error=response.error or None,
            now=self._clock(),
        )
        if settled is None:
            # Verifying took longer than the lease: whoever watches was told that nobody answered in time.
            raise closed(record, self._clock())
        logger.info(
            "A presentation was answered",
            extra={"verifier": record.request.verifier, "accepted": bool(result and result.accepted)},
        )
        return settled

    async def _verify(self, record: RequestRecord, response: PresentationResponse) -> VerificationResult:
        request = record.request
        return await self._verifier.verify(
            VerificationInput(
                verifier=self._verifiers.named(request.verifier, caller=request.owner),
                definition=definition_of(request.definition),
                nonce=request.nonce,
                id_token=response.id_token,
                vp_token=response.vp_token,
                claimed=True,
                request_id=request.request_id,
            )
        )

    def _done(self, task: asyncio.Task[RequestRecord]) -> None:
        self._under_way.discard(task)
        # Where the caller has gone, nobody else would look at a failure of our own.
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, GatewayError):
            logger.error("An answer could not be judged", exc_info=error)
