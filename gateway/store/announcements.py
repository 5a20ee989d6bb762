"""What this process has committed, told to whoever waits for it in the same process."""

from collections.abc import Callable


class Announcements:
    """Calls its listeners after each change that was committed here. Belongs to one event loop.

    It says that there is something to read, and not what: who hears nothing has to look by itself now and
    then, as other processes commit changes too.
    """

    def __init__(self) -> None:
        self._listeners: list[Callable[[], None]] = []

    def listen(self, listener: Callable[[], None]) -> None:
        """Call *listener* from now on. It must not wait and must not raise."""
        self._listeners.append(listener)

    def announce(self) -> None:
        """Something was committed."""
        for listener in self._listeners:
            listener()
