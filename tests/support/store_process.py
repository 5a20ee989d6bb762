"""Another process at the same database, for races and for killing.

    python -m tests.support.store_process URL claim PREFIX COUNT
    python -m tests.support.store_process URL write NAME

``claim`` waits for a line on standard input, uses PREFIX0 to PREFIX(COUNT-1) once each, all at the same time,
and prints those it won. ``write`` prints the name of each client or revocation after it was acknowledged,
until it is killed.
"""

import asyncio
import sys
import time

from gateway.store import Store, open_store
from gateway.tokens.ports import Revocation
from tests.support.stores import NOW, client, request_key, soon


def say(*words: object) -> None:
    """A line on standard output, at once."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def claim(store: Store, prefix: str, count: int) -> None:
    """Race with another process for the same values."""
    say("ready")
    await asyncio.to_thread(sys.stdin.readline)
    won = await asyncio.gather(
        *(store.replay.use_once("race", f"{prefix}{number}", expire_time=soon()) for number in range(count))
    )
    say(*(number for number in range(count) if won[number]))


async def write(store: Store, name: str) -> None:
    """Create clients and revoke tokens from several tasks at once."""

    async def creating(task: int) -> None:
        for number in range(1_000_000):
            client_id = f"{name}-{task}-{number}"
            await store.clients.create(client(client_id), request_key(client_id))
            say("client", client_id)

    async def revoking(task: int) -> None:
        for number in range(1_000_000):
            token_id = f"{name}-{task}-{number}"
            await store.revocations.revoke(Revocation(token_id, None, NOW, time.time() + 3600))
            say("token", token_id)

    async with asyncio.TaskGroup() as tasks:
        for task in range(4):
            tasks.create_task(creating(task))
            tasks.create_task(revoking(task))


async def main(url: str, action: str, *arguments: str) -> None:
    """Do what the command line asks."""
    async with open_store(url) as store:
        if action == "claim":
            await claim(store, arguments[0], int(arguments[1]))
        else:
            await write(store, arguments[0])


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
