"""What grpc.aio itself costs: a handler that does nothing, behind the listener that the gateway has.

    python -m bench.empty_server ADDRESS OPTIONS CERTIFICATE PRIVATE_KEY CLIENT_CA

Mutual TLS on uvloop; OPTIONS are the channel options of the gateway's listeners as JSON. No interceptor, no
message type, an empty reply.
"""

import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import grpc
import uvloop

SERVICE = "countersign.bench.Empty"
METHOD = "Call"


async def _empty(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    del request, context
    return b""


async def serve(
    address: str, options: Sequence[tuple[str, int]], credentials: grpc.ServerCredentials
) -> None:
    """Serve on *address* until SIGTERM."""
    server = grpc.aio.server(options=options)
    handler = grpc.unary_unary_rpc_method_handler(_empty)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),))
    server.add_secure_port(address, credentials)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await server.start()
    await stopped.wait()
    await server.stop(grace=1)


def main() -> None:
    """The command line."""
    address, options, *files = sys.argv[1:]
    certificate, private_key, client_ca = (Path(file).read_bytes() for file in files)
    credentials = grpc.ssl_server_credentials(
        [(private_key, certificate)], root_certificates=client_ca, require_client_auth=True
    )
    uvloop.run(serve(address, [(name, value) for name, value in json.loads(options)], credentials))


if __name__ == "__main__":
    main()
