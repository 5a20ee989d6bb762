"""The example runs as a user would run it, against a real gateway."""

import asyncio
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import jwt
from google.protobuf.empty_pb2 import Empty
from google.protobuf.wrappers_pb2 import StringValue

from tests.support.gateway import ISSUER, RESOURCE

EXAMPLE = Path(__file__).resolve().parents[3] / "clients" / "python" / "examples" / "resource_server.py"


@asynccontextmanager
async def example(served, folder):
    """The port of the running example."""
    gateway = served.gateway
    ca = folder / "ca.pem"
    ca.write_bytes(gateway.root.pem)
    certificate, key = gateway.api.write(folder, "api")
    server_certificate, server_key = gateway.root.server().write(folder, "example")
    options = {
        "--target": f"127.0.0.1:{gateway.server.ports.mtls}",
        "--ca": ca,
        "--certificate": certificate,
        "--private-key": key,
        "--issuer": ISSUER,
        "--audience": RESOURCE,
        "--server-certificate": server_certificate,
        "--server-private-key": server_key,
        "--origin": "https://greeter.example.org",
        "--listen": "127.0.0.1:0",
    }
    arguments = [str(part) for pair in options.items() for part in pair]
    process = await asyncio.create_subprocess_exec(
        sys.executable, EXAMPLE, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(20):
            line = (await process.stdout.readline()).decode()
        assert line.startswith("serving on port "), (await process.stderr.read()).decode()
        yield int(line.split()[-1])
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(20):
            assert await process.wait() == 130
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_resource_server(served, tmp_path):
    """A token's holder is greeted until the token is revoked, and nobody else is."""
    token = await served.certificate_bound()
    async with example(served, tmp_path) as port:

        async def greet(identity):
            credentials = grpc.ssl_channel_credentials(
                served.gateway.root.pem, identity.key_pem, identity.chain_pem
            )
            options = (("grpc.use_local_subchannel_pool", 1),)
            async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
                method = channel.unary_unary(
                    "/example.v1.Greeter/Greet", Empty.SerializeToString, StringValue.FromString
                )
                try:
                    answer = await method(
                        Empty(), metadata=[("authorization", f"Bearer {token}")], timeout=10
                    )
                except grpc.aio.AioRpcError as error:
                    return error.details()
                return answer.value

        assert await greet(served.identity) == "Hello, backend."
        assert await greet(served.gateway.api) == "The token is bound to another certificate."
        async with served.gateway.client(served.gateway.admin) as admin:
            token_id = jwt.decode(token, options={"verify_signature": False})["jti"]
            await admin.revoke_token_id(token_id)
        async with asyncio.timeout(10):
            while (answer := await greet(served.identity)) == "Hello, backend.":  # noqa: ASYNC110 - it alone tells.
                await asyncio.sleep(0.02)
        assert answer == "The token was revoked."
