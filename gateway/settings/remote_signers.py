"""Configuration of signers behind a network: Vault or OpenBao, and the KMS of the clouds."""

from pydantic import Field

from gateway.settings.section import Section
from signers.remote.options import MAX_CONCURRENCY, MAX_QUEUE, MAX_TIMEOUT, RemoteOverrides


class RemoteSignerSettings(Section):
    """How one kind of signer behind a network is used; what is left out is as its backend has it.

    - `sign_timeout`: seconds after which a signature is given up, retries included.
    - `request_timeout`: seconds for one request to the service, half of `sign_timeout` at most.
    - `attempts`: requests made for one signature where the failure is one that passes.
    - `concurrency`: requests under way at once, per worker.
    - `queue`: signatures that may wait, per worker, before callers are told SIGNER_BUSY.
    - `batch`: signatures in one request at most, where the service signs batches.
    - `budget`: requests per second of all workers together; set it below the service's quota. Beyond it
      callers are told SIGNER_BUSY and when to come again.
    - `burst`: requests that a worker may make at once after a pause.
    - `budget_wait`: seconds that a signature waits for the budget before its caller is refused.
    """

    sign_timeout: float | None = Field(None, gt=0, le=MAX_TIMEOUT)
    request_timeout: float | None = Field(None, gt=0, le=MAX_TIMEOUT)
    attempts: int | None = Field(None, ge=1, le=10)
    concurrency: int | None = Field(None, ge=1, le=MAX_CONCURRENCY)
    queue: int | None = Field(None, ge=1, le=MAX_QUEUE)
    batch: int | None = Field(None, ge=1, le=256)
    budget: float | None = Field(None, gt=0)
    burst: int | None = Field(None, ge=1)
    budget_wait: float | None = Field(None, ge=0, le=10)

    def overrides(self) -> RemoteOverrides:
        """These settings for `signers.registry.SignerRegistry`."""
        return RemoteOverrides(
            timeout=self.sign_timeout,
            attempt_timeout=self.request_timeout,
            attempts=self.attempts,
            concurrency=self.concurrency,
            max_queue=self.queue,
            max_batch=self.batch,
            budget=self.budget,
            burst=self.burst,
            budget_wait=self.budget_wait,
        )
