"""Access tokens on a real grpc.aio server over TLS, with tokens of a real gateway."""

import asyncio
import inspect
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
import pytest
from countersign.resource_server import AccessTokenInterceptor, DpopNonces, current_token

from tests.clients.resource_server.conftest import METHOD, policy, verifier

STREAM = "/orders.v1.Orders/Watch"
UPLOAD = "/orders.v1.Orders/Upload"
CHAT = "/orders.v1.Orders/Chat"
WRITES = "/orders.v1.Orders/Writes"
HEALTH = "/orders.v1.Orders/Health"
ADMIN = "/orders.v1.Orders/Admin"
SYNCHRONOUS = "/orders.v1.Orders/Synchronous"
SCOPES = {
    **{each: ["read"] for each in (METHOD, STREAM, UPLOAD, CHAT, WRITES, SYNCHRONOUS)},
    ADMIN: ["admin"],
    HEALTH: None,
}


def subject():
    return current_token().subject.encode()


async def unary(request, context):
    return subject()


async def stream(request, context):
    yield subject()
    await asyncio.sleep(0)
    yield subject()


async def upload(requests, context):
    return subject() + b"".join([each async for each in requests])


async def chat(requests, context):
    async for each in requests:
        yield subject() + each


async def writes(request, context):
    await context.write(subject())


async def health(request, context):
    try:
        return subject()
    except LookupError:
        return b"nobody"


def synchronous(request, context):
    return b""


HANDLERS = {
    METHOD: grpc.unary_unary_rpc_method_handler(unary),
    ADMIN: grpc.unary_unary_rpc_method_handler(unary),
    HEALTH: grpc.unary_unary_rpc_method_handler(health),
    "/orders.v1.Orders/Unnamed": grpc.unary_unary_rpc_method_handler(unary),
    SYNCHRONOUS: grpc.unary_unary_rpc_method_handler(synchronous),
    STREAM: grpc.unary_stream_rpc_method_handler(stream),
    WRITES: grpc.unary_stream_rpc_method_handler(writes),
    UPLOAD: grpc.stream_unary_rpc_method_handler(upload),
    CHAT: grpc.stream_stream_rpc_method_handler(chat),
}


class Handlers(grpc.GenericRpcHandler):
    def service(self, handler_call_details):
        return HANDLERS.get(handler_call_details.method)


@dataclass(frozen=True)
class Orders:
    """The server's port, and connections to it."""

    served: object
    port: int

    def channel(self, identity=None):
        credentials = grpc.ssl_channel_credentials(
            self.served.gateway.root.pem,
            None if identity is None else identity.key_pem,
            None if identity is None else identity.chain_pem,
        )
        return grpc.aio.secure_channel(
            f"127.0.0.1:{self.port}", credentials, options=(("grpc.use_local_subchannel_pool", 1),)
        )

    async def call(self, token, *proofs, identity=None, scheme="Bearer", method=METHOD):
        metadata = [("authorization", f"{scheme} {token}")] if token else []
        metadata += [("dpop", each) for each in proofs]
        async with self.channel(identity or self.served.identity) as channel:
            return await channel.unary_unary(method)(b"", metadata=metadata, timeout=10)

    async def refused(self, *arguments, **options):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.call(*arguments, **options)
        error = caught.value
        trailers = error.trailing_metadata()
        challenges = [value for name, value in trailers if name == "www-authenticate"]
        return error.code(), error.details(), challenges, dict(trailers).get("dpop-nonce")


@asynccontextmanager
async def orders_server(served, *, mutual=True, **options):
    root = served.gateway.root
    issued = root.server()
    pair = [(issued.key_pem, issued.chain_pem)]
    credentials = grpc.ssl_server_credentials(pair, root.pem if mutual else None, require_client_auth=mutual)
    async with served.gateway.client() as keys:
        interceptor = AccessTokenInterceptor(verifier(keys, **options), SCOPES.__getitem__)
        server = grpc.aio.server(interceptors=[interceptor])
        server.add_generic_rpc_handlers((Handlers(),))
        port = server.add_secure_port("127.0.0.1:0", credentials)
        await server.start()
        yield Orders(served, port)
        await server.stop(None)


@pytest.fixture
async def orders(served):
    """The server with mutual TLS."""
    async with orders_server(served) as running:
        yield running


async def test_certificate_bound_token(served, orders):
    """The certificate of the connection is what the token must be bound to; the handler sees the token."""
    token = await served.certificate_bound()
    assert await orders.call(token) == b"backend"
    code, details, challenges, _ = await orders.refused(token, identity=served.gateway.api)
    assert (code, details) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "The token is bound to another certificate.",
    )
    assert challenges == [f'Bearer error="invalid_token", error_description="{details}"']


async def test_certificate_bound_token_without_certificate(served):
    """On a port that asks for no certificate a bound token is refused."""
    token = await served.certificate_bound()
    async with orders_server(served, mutual=False) as orders:
        code, details, _, _ = await orders.refused(token)
    assert code is grpc.StatusCode.UNAUTHENTICATED
    assert details == "The token is bound to a certificate, and the request has none."


async def test_dpop_bound_token(served, orders):
    """Each call has a proof for its own method, once; the token is no Bearer token."""
    token = await served.dpop_bound()
    proof = served.proof(token)
    assert await orders.call(token, proof, scheme="DPoP") == b"backend"
    code, details, challenges, nonce = await orders.refused(token, proof, scheme="DPoP")
    assert (code, details, nonce) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "The proof was used before.",
        None,
    )
    assert challenges[0].startswith('DPoP error="invalid_dpop_proof"')
    _, details, _, _ = await orders.refused(token, served.proof(token), scheme="DPoP", method=ADMIN)
    assert details == "The proof is for another target."
    _, details, _, _ = await orders.refused(token, served.proof(token), served.proof(token), scheme="DPoP")
    assert details == "The request carries several DPoP proofs."
    _, details, challenges, _ = await orders.refused(token, served.proof(token))
    assert (details, challenges[0][:5]) == ("The token is a DPoP token.", "DPoP ")


async def test_nonce(served):
    """The nonce to use comes in the trailing metadata, and the call made anew with it is served."""
    token = await served.dpop_bound()
    async with orders_server(served, dpop=policy(nonces=DpopNonces())) as orders:
        code, _, challenges, nonce = await orders.refused(token, served.proof(token), scheme="DPoP")
        assert code is grpc.StatusCode.UNAUTHENTICATED
        assert challenges[0].startswith('DPoP error="use_dpop_nonce"')
        assert await orders.call(token, served.proof(token, nonce=nonce), scheme="DPoP") == b"backend"


async def test_without_a_token(orders):
    """A call without a token is refused with every scheme; one for an open method is served."""
    code, details, challenges, _ = await orders.refused("")
    assert (code, details) == (grpc.StatusCode.UNAUTHENTICATED, "The request carries no access token.")
    assert challenges[0] == "Bearer"
    assert challenges[1].startswith("DPoP algs=")
    assert await orders.call("", method=HEALTH) == b"nobody"


async def test_scope(served, orders):
    """A token without the method's scope is refused with PERMISSION_DENIED and the scope."""
    code, _, challenges, _ = await orders.refused(await served.certificate_bound(), method=ADMIN)
    assert code is grpc.StatusCode.PERMISSION_DENIED
    assert challenges[0].endswith('scope="admin"')


async def test_methods_without_a_policy(served, orders):
    """A method that the policy does not name, a synchronous one and an unknown one serve nobody."""
    token = await served.certificate_bound()
    for method in ("/orders.v1.Orders/Unnamed", SYNCHRONOUS):
        code, _, challenges, _ = await orders.refused(token, method=method)
        assert (code, challenges) == (grpc.StatusCode.UNKNOWN, [])
    assert (await orders.refused(token, method="/orders.v1.Orders/None"))[0] is grpc.StatusCode.UNIMPLEMENTED


async def test_streams(served, orders):
    """All four kinds of methods are served with the token, and refused without."""
    good = [("authorization", f"Bearer {await served.certificate_bound()}")]

    async def requests():
        for each in (b"1", b"2"):
            yield each

    async with orders.channel(served.identity) as channel:

        async def answers(metadata):
            found = []
            for call in (
                channel.unary_stream(STREAM)(b"", metadata=metadata),
                channel.unary_stream(WRITES)(b"", metadata=metadata),
                channel.stream_unary(UPLOAD)(requests(), metadata=metadata),
                channel.stream_stream(CHAT)(requests(), metadata=metadata),
            ):
                try:
                    found.append(await call if inspect.isawaitable(call) else [each async for each in call])
                except grpc.aio.AioRpcError as error:
                    found.append(error.code())
            return found

        async with asyncio.timeout(10):
            assert await answers(good) == [
                [b"backend", b"backend"],
                [b"backend"],
                b"backend12",
                [b"backend1", b"backend2"],
            ]
            assert await answers(()) == [grpc.StatusCode.UNAUTHENTICATED] * 4


async def test_keys_cannot_be_fetched(served):
    """Where no key set can be had the call is refused for now, without a challenge."""
    token = await served.certificate_bound()
    async with orders_server(served) as orders:
        await served.gateway.server.drain()
        code, details, challenges, _ = await orders.refused(token)
    assert (code, details, challenges) == (
        grpc.StatusCode.UNAVAILABLE,
        "The gateway gave no key set.",
        [],
    )


async def test_token_of_one_call_is_not_seen_by_another(served, orders):
    """Calls on one connection at one time each see their own token."""
    token = await served.certificate_bound()
    async with orders.channel(served.identity) as channel:
        good = [("authorization", f"Bearer {token}")]
        answers = await asyncio.gather(
            *(
                channel.unary_unary(METHOD if number % 2 else HEALTH)(
                    b"", metadata=good if number % 2 else (), timeout=10
                )
                for number in range(20)
            )
        )
    assert answers == [b"backend" if number % 2 else b"nobody" for number in range(20)]
