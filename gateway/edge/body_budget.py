"""How many octets of request bodies one worker keeps in memory."""

from typing import Final

SMALL_BODY: Final = 16 * 1024
"""Octets of a body that count for nothing, so that it always goes on: one for each connection at a time."""


class BodyBudget:
    """Counts octets in and out, from when they arrive until their request is answered.

    - `octets`: how many may be held; `held`: how many are. Belongs to one event loop.

    What is counted has arrived: a body that is announced and not sent takes no room from others.
    """

    __slots__ = ("held", "octets")

    def __init__(self, octets: int) -> None:
        self.octets = octets
        self.held = 0

    def take(self, octets: int) -> bool:
        """Count *octets* in; False, with nothing counted, where there is no room for them."""
        if self.held + octets > self.octets:
            return False
        self.held += octets
        return True

    def give_back(self, octets: int) -> None:
        """Count *octets* out."""
        self.held -= octets
