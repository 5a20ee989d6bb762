"""One attack as a process of its own, with a lower priority than those it is measured beside.

    python -m bench.attacker ATTACK DOOR PORT SOURCE AUTHORITY [CERTIFICATE KEY]

It strikes from the address SOURCE until its standard input ends, and then prints how often it has. It is
nicer than those that it is measured beside: in life an attacker has a machine of its own, and does not take
the gateway's processors.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

import uvloop

from tests.support import bad_http1, bad_http2, bad_tls
from tests.support.bad_clients import Attack, Door, DoorKind, attacking

ATTACKS: Final = (*bad_tls.ATTACKS, *bad_http2.ATTACKS, *bad_http1.ATTACKS)
NICENESS: Final = 10


def attack_named(name: str) -> Attack:
    """The attack called *name*. Raises `KeyError`."""
    return {attack.name: attack for attack in ATTACKS}[name]


async def _strike(attack: Attack, door: Door) -> int:
    async with attacking(attack, door) as struck:
        await asyncio.to_thread(sys.stdin.read)
    return struck.count


def main() -> None:
    """Attack until standard input ends."""
    name, kind, port, source, authority, *identity = sys.argv[1:]
    os.nice(NICENESS)
    files = (Path(identity[0]), Path(identity[1])) if identity else None
    door = Door.of(DoorKind(kind), int(port), Path(authority), files, source=source)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(runner.run(_strike(attack_named(name), door)), flush=True)
    os._exit(0)  # Hundreds of connections are cut by the kernel.


if __name__ == "__main__":
    main()
