# ruff: noqa: INP001, T201 - a program of its own, which prints.
r"""Mint a token, introspect it, revoke it, introspect it again; without asyncio, with a client certificate.

    python mint_and_introspect_sync.py --target localhost:50052 --ca ca.pem \
        --certificate billing.pem --private-key billing.key --client-id billing

Every option may come from the environment instead: EXAMPLE_TARGET, EXAMPLE_CA, and so on.
"""

import argparse
import os

from countersign import CountersignError, SyncGatewayClient, TlsConfig


def run(options: argparse.Namespace) -> None:
    tls = TlsConfig(ca=options.ca, certificate=options.certificate, private_key=options.private_key)
    with SyncGatewayClient(options.target, tls=tls) as client:
        token = client.mint_token(options.client_id, scope=options.scope)
        print(f"minted {token.token_id}: scope {' '.join(token.scope)}, until {token.expire_time:%H:%M:%S}Z")

        seen = client.introspect_token(token.value, client_id=options.client_id)
        print(f"active, issued to {seen.client_id}" if seen is not None else "not active")

        client.revoke_token(token.value, client_id=options.client_id)
        seen = client.introspect_token(token.value, client_id=options.client_id)
        print(f"active, issued to {seen.client_id}" if seen is not None else "not active")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Mint, introspect and revoke a token.")
    for name in ("target", "ca", "certificate", "private-key", "client-id"):
        default = os.environ.get(f"EXAMPLE_{name.upper().replace('-', '_')}")
        parser.add_argument(f"--{name}", default=default, required=default is None)
    parser.add_argument("--scope", nargs="*", default=[])
    return parser.parse_args()


if __name__ == "__main__":
    try:
        run(arguments())
    except CountersignError as error:
        raise SystemExit(str(error)) from error
