"""A replica without doors that mints as fast as it can, and tells each token's id once it is minted.

    python -m tests.support.audit_process CONFIG CLIENT_ID SECRET

Whoever reads its standard output is the client: a line is what it was told. It runs until it is killed.
"""

import asyncio
import os
import sys
from contextlib import nullcontext
from pathlib import Path

from gateway.application import Application, load_roots, open_application
from gateway.config import load
from gateway.principal import ANONYMOUS, Call
from gateway.tokens.client_authentication import ClientSecret
from gateway.tokens.grants import ClientCredentialsGrant, TokenRequest

CALLS = 8
"""Under way at once."""


async def _mint(application: Application, client_id: str, secret: str) -> None:
    request, call = TokenRequest(ClientCredentialsGrant()), Call(ANONYMOUS, None, "request-1")
    while True:
        minted = await application.minter.mint(call, client_id, ClientSecret(secret), request)
        # One write of less than a pipe's atomic size: what was told is told whole.
        os.write(1, f"{minted.token_id}\n".encode())


async def _main(config: Path, client_id: str, secret: str) -> None:
    settings = load(config)
    async with (
        open_application(settings, load_roots(settings)) as application,
        application.checkpointer or nullcontext(),
        asyncio.TaskGroup() as group,
    ):
        for _ in range(CALLS):
            group.create_task(_mint(application, client_id, secret))


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
