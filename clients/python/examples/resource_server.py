# ruff: noqa: INP001, T201 - a program of its own, which prints.
r"""A gRPC server that serves only who holds a token of the gateway, and stops when the token is revoked.

    python resource_server.py --target localhost:50052 --ca ca.pem \
        --certificate api.pem --private-key api.key \
        --issuer https://id.example.org --audience https://api.example.org \
        --server-certificate server.pem --server-private-key server.key \
        --origin https://localhost:8443 --listen localhost:8443

Its one method, /example.v1.Greeter/Greet, takes an Empty and returns a StringValue; a token needs the scope
``read``. Callers present the client certificate that their token is bound to, of an authority in ca.pem. To
the gateway this server is a caller with the role resource-server, by its own certificate, which is for the
revocations. Every option may come from the environment instead: EXAMPLE_TARGET, EXAMPLE_CA, and so on.
"""

import argparse
import asyncio
import os
from pathlib import Path

import grpc
from countersign import GatewayClient, TlsConfig
from countersign.resource_server import (
    AccessTokenInterceptor,
    AccessTokenVerifier,
    DpopPolicy,
    RevocationFollower,
    current_token,
)
from google.protobuf.empty_pb2 import Empty
from google.protobuf.wrappers_pb2 import StringValue

SCOPES = {"/example.v1.Greeter/Greet": ["read"]}


async def greet(request: Empty, context: object) -> StringValue:
    del request, context
    return StringValue(value=f"Hello, {current_token().subject}.")


async def run(options: argparse.Namespace) -> None:
    tls = TlsConfig(ca=options.ca, certificate=options.certificate, private_key=options.private_key)
    async with GatewayClient(options.target, tls=tls) as gateway, RevocationFollower(gateway) as revocations:
        verifier = AccessTokenVerifier(
            gateway,
            issuer=options.issuer,
            audience={options.audience},
            dpop=DpopPolicy(origins=(options.origin,)),
            revocations=revocations,
        )
        server = grpc.aio.server(interceptors=[AccessTokenInterceptor(verifier, SCOPES.__getitem__)])
        handler = grpc.unary_unary_rpc_method_handler(greet, Empty.FromString, StringValue.SerializeToString)
        greeter = grpc.method_handlers_generic_handler("example.v1.Greeter", {"Greet": handler})
        server.add_generic_rpc_handlers((greeter,))
        key, certificate, roots = await asyncio.to_thread(
            lambda: [
                Path(each).read_bytes()
                for each in (options.server_private_key, options.server_certificate, options.ca)
            ]
        )
        credentials = grpc.ssl_server_credentials([(key, certificate)], roots, require_client_auth=True)
        port = server.add_secure_port(options.listen, credentials)
        async with asyncio.timeout(30):
            await revocations.caught_up()
        await server.start()
        print(f"serving on port {port}", flush=True)
        try:
            await server.wait_for_termination()
        finally:
            await server.stop(5)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Serve who holds a token.")
    names = (
        *("target", "ca", "certificate", "private-key", "issuer", "audience"),
        *("server-certificate", "server-private-key", "origin", "listen"),
    )
    for name in names:
        default = os.environ.get(f"EXAMPLE_{name.upper().replace('-', '_')}")
        parser.add_argument(f"--{name}", default=default, required=default is None)
    return parser.parse_args()


if __name__ == "__main__":
    try:
        asyncio.run(run(arguments()))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
