"""The DIDs of one answer, resolved together before anything is verified with them."""

import asyncio
from collections.abc import Iterable, Mapping

from gateway.dids import DidError, DidFault, DidResolver, Resolution
from gateway.presentations.waiting import Deadline


class Resolutions:
    """What each DID resolved to, or why not. Made by `of`."""

    def __init__(self, found: Mapping[str, Resolution | DidError]) -> None:
        self._found = found

    @classmethod
    async def of(cls, resolver: DidResolver, dids: Iterable[str], deadline: Deadline) -> "Resolutions":
        """Resolve *dids*; those that are not held are asked for side by side. Raises nothing."""
        found: dict[str, Resolution | DidError] = {}
        missing: list[str] = []
        for did in dict.fromkeys(dids):
            try:
                held = resolver.held(did)
            except DidError as error:
                found[did] = error
                continue
            if held is None:
                missing.append(did)
            else:
                found[did] = held
        if missing:
            outcomes = await asyncio.gather(*(_resolve(resolver, did, deadline) for did in missing))
            found.update(zip(missing, outcomes, strict=True))
        return cls(found)

    def outcome(self, did: str | None) -> Resolution | DidError | None:
        """What came of *did*; None where it was not asked for."""
        return self._found.get(did) if did is not None else None

    def resolution(self, did: str | None) -> Resolution | None:
        """What *did* resolved to; None where it did not."""
        outcome = self.outcome(did)
        return outcome if isinstance(outcome, Resolution) else None


async def _resolve(resolver: DidResolver, did: str, deadline: Deadline) -> Resolution | DidError:
    try:
        resolution = await deadline.wait(resolver.resolve(did))
    except DidError as error:
        return error
    return resolution or DidError(DidFault.UNREACHABLE, "the DID was not resolved in time")
