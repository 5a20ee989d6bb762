"""Calls that may hang, made on a thread of their own."""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from signers.errors import SignerTimeoutError

logger = logging.getLogger(__name__)

T = TypeVar("T")


async def call_in_thread(
    call: Callable[[], T], *, seconds: float, key: str, undo: Callable[[T], object] | None = None
) -> T:
    """Await *call* made on a daemon thread, for at most *seconds*.

    An executor will not do: the interpreter joins its threads at exit, and so would hang with the device.
    Where the waiter has gone when *call* succeeds, *undo* is given its result, on a thread as well. Raises
    what *call* raises, or `SignerTimeoutError`.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def deliver(result: T | None, error: Exception | None) -> None:
        if future.done():
            if error is None and undo is not None:
                _start(lambda: undo(result))  # type: ignore[arg-type]  # Without an error there is a T.
        elif error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # As above.

    def run() -> None:
        result: T | None = None
        failure: Exception | None = None
        try:
            result = call()
        except Exception as error:  # noqa: BLE001  # It belongs to the waiter.
            failure = error
        try:
            loop.call_soon_threadsafe(deliver, result, failure)
        except RuntimeError:
            logger.debug("The event loop ended before a PKCS#11 call did.")

    _start(run)
    try:
        async with asyncio.timeout(seconds):
            return await future
    except TimeoutError as error:
        raise SignerTimeoutError(f"The device did not answer within {seconds:g} seconds.", key=key) from error


def _start(call: Callable[[], object]) -> None:
    threading.Thread(target=call, name="pkcs11-administration", daemon=True).start()
