"""What other processes commit, told as it happens where the database can tell.

It says that there is something to look at, and not what, so that news which is lost or doubled changes no
answer. Whoever listens looks by itself too: often while nothing is `certain`, and seldom while it is.
"""

from collections.abc import Callable
from typing import Protocol


class News(Protocol):
    """News of one kind of change."""

    @property
    def certain(self) -> bool:
        """Whether a change that is committed anywhere is known to be told here."""
        ...

    def listen(self, listener: Callable[[], None]) -> None:
        """Call *listener* after each change and when `certain` changes. It must neither wait nor raise."""
        ...


class NoNews:
    """For databases that tell nothing."""

    certain = False

    def listen(self, listener: Callable[[], None]) -> None:
        """*listener* is never called."""
