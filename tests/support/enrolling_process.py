"""A process that enrolls a device and revokes its certificate, and is killed at one of its writes.

python -m tests.support.enrolling_process FOLDER DATABASE-URL STAGE

FOLDER holds the device's key, ``device.pem``. What the process was told is in ``diary.json`` there before it
goes on. It dies by SIGKILL at STAGE, before or after one of `WRITES`.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from gateway.pki.crl import RevocationReason
from tests.support.enrollment import bench, p256_key, wire_csr
from tests.support.wire import Device, prover_of

WRITES = {
    "account": ("accounts", "create", 1),
    "order": ("orders", "create", 1),
    "dpop": ("orders", "change", 1),
    "oidc": ("orders", "change", 2),
    "reserve": ("certificates", "reserve", 1),
    "complete": ("certificates", "complete", 1),
    "revoke": ("certificates", "revoke", 1),
}
"""Every write of an enrollment: the repository, its method, and which call of it."""

STAGES = tuple(f"{when} {write}" for write in WRITES for when in ("before", "after"))


class Diary:
    """What was done, as JSON; the last page is whole also where the process was killed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._members: dict[str, Any] = {}

    def note(self, **members: Any) -> None:
        """Add *members*."""
        self._members |= members
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps(self._members))
        draft.replace(self._path)


def arm(store: Any, stage: str) -> None:
    """Have the process die at *stage*."""
    when, _, write = stage.partition(" ")
    name, method, count = WRITES[write]
    repository = type(getattr(store, name))
    original = getattr(repository, method)
    calls = 0

    async def deadly(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = await original(*arguments, **named)
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    setattr(repository, method, deadly)


async def main(folder: Path, url: str, stage: str) -> None:
    """Run until killed."""
    diary = Diary(folder / "diary.json")
    device = Device(prover_of((folder / "device.pem").read_text(), "ES256"))
    async with bench(folder, url=url) as lab:
        diary.note(provider=dict(lab.signer_of_ids.jwk))
        arm(lab.store, stage)
        account = await lab.account(device.prover)
        diary.note(account=account.account_id)
        order = await lab.order(account)
        access_token = await lab.access_token(order, device)
        diary.note(order=order.order_id, access_token=access_token)
        await lab.answer_dpop(account, order, access_token)
        id_token = lab.id_token(order, account)
        diary.note(dpop=True, id_token=id_token)
        await lab.answer_oidc(account, order, id_token)
        request = wire_csr(p256_key())
        diary.note(oidc=True, request=request.hex())
        issuing = lab.enrollment.issuing
        done = await issuing.finalize(account, order.order_id, request)
        diary.note(certificate=done.certificate_id)
        issued = await issuing.certificate(account, done.certificate_id or "")
        await lab.enrollment.revocations.revoke_by_account(account, issued.der, RevocationReason.SUPERSEDED)
        diary.note(revoked=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
