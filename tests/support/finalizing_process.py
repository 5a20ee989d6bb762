"""A process that enrolls a device and is killed while it finalizes.

python -m tests.support.finalizing_process FOLDER DATABASE-URL STAGE

It prints the account, the order and the request (hex), and dies by SIGKILL at STAGE: before or after the
write that reserves, before or after the write that completes.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from tests.support.enrollment import bench, p256_key, wire_csr
from tests.support.wire import Device, prover

STAGES = ("before reserve", "after reserve", "before complete", "after complete")


async def main(folder: Path, url: str, stage: str) -> None:
    """Run until killed."""
    when, _, method = stage.partition(" ")
    async with bench(folder, url=url) as lab:
        device = Device(prover("ES256"))
        account = await lab.account(device.prover)
        order = await lab.ready(account, device)
        request = wire_csr(p256_key())
        sys.stdout.write(f"{account.account_id} {order.order_id} {request.hex()}\n")
        sys.stdout.flush()
        repository = type(lab.store.certificates)
        original = getattr(repository, method)

        async def deadly(*arguments: Any, **named: Any) -> Any:
            if when == "after":
                await original(*arguments, **named)
            os.kill(os.getpid(), signal.SIGKILL)

        setattr(repository, method, deadly)
        await lab.enrollment.issuing.finalize(account, order.order_id, request)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
