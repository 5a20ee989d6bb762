"""What proofs need remembered: that something was used. `gateway.store` implements it."""

from typing import Protocol


class ReplayRepository(Protocol):
    """Things that may be used once, shared by all replicas."""

    async def use_once(self, kind: str, value: str, *, expire_time: float) -> bool:
        """True for exactly one caller over all replicas; False for every other until *expire_time*.

        *kind* names the space, *value* is unambiguous within it. *expire_time* is in seconds since the epoch.
        Raises `AvailabilityError`; whoever gets it must treat the value as used.
        """
        ...
