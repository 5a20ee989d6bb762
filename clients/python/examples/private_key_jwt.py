# ruff: noqa: INP001, T201 - a program of its own, which prints.
r"""Mint a token for a client that authenticates with a signed assertion (RFC 7523).

    python private_key_jwt.py --target localhost:50052 --ca ca.pem \
        --certificate caller.pem --private-key caller.key --client-id reporting \
        --issuer https://gateway.example --assertion-key reporting.pem --algorithm ES256

The connection's certificate identifies the caller, and the token is bound to it; the assertion authenticates
the client. Every option may come from the environment instead: EXAMPLE_TARGET, EXAMPLE_CA, and so on.
"""

import argparse
import asyncio
import os
from pathlib import Path

from countersign import AssertionKey, CountersignError, GatewayClient, TlsConfig


async def run(options: argparse.Namespace) -> None:
    tls = TlsConfig(ca=options.ca, certificate=options.certificate, private_key=options.private_key)
    async with GatewayClient(options.target, tls=tls) as client:
        key = AssertionKey(
            private_key=await asyncio.to_thread(Path(options.assertion_key).read_bytes),
            algorithm=options.algorithm,
            issuer=options.issuer,
            key_id=options.key_id,
        )
        token = await client.mint_token(options.client_id, credential=key, scope=options.scope)
        print(f"minted {token.token_id}: scope {' '.join(token.scope)}, until {token.expire_time:%H:%M:%S}Z")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Mint a token with a client assertion.")
    names = (
        "target",
        "ca",
        "certificate",
        "private-key",
        "client-id",
        "issuer",
        "assertion-key",
        "algorithm",
    )
    for name in names:
        default = os.environ.get(f"EXAMPLE_{name.upper().replace('-', '_')}")
        parser.add_argument(f"--{name}", default=default, required=default is None)
    parser.add_argument(
        "--key-id", default=os.environ.get("EXAMPLE_KEY_ID"), help="kid of the registered key"
    )
    parser.add_argument("--scope", nargs="*", default=[])
    return parser.parse_args()


if __name__ == "__main__":
    try:
        asyncio.run(run(arguments()))
    except CountersignError as error:
        raise SystemExit(str(error)) from error
