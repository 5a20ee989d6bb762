"""Where a signature's time went, counted for the operator."""

from collections import Counter

from signers.errors import SignerError


class Timings:
    """Sums since the start, in seconds and in numbers; whoever reads them twice has rates."""

    def __init__(self) -> None:
        self.requests = 0
        self.signatures = 0
        self.waited = 0.0
        self.signing = 0.0
        self.verifying = 0.0
        self.errors: Counter[str] = Counter()

    def record(self, *, waited: float, signing: float, verifying: float, signatures: int) -> None:
        """A request that was answered: the longest wait in its queue, the service's time with retries, and
        ours for verification.
        """
        self.requests += 1
        self.signatures += signatures
        self.waited += waited
        self.signing += signing
        self.verifying += verifying

    def failed(self, error: SignerError, signatures: int) -> None:
        """A request that failed, and with it *signatures*."""
        self.requests += 1
        self.errors[type(error).__name__] += signatures
