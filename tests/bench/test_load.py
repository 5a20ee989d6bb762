"""The load generator against the real empty server, and against one that fails."""

import asyncio

import grpc
import pytest

from bench import cases, facts
from bench.certificates import CLIENT, SERVER, Authority
from bench.generators import GeneratorError, Generators, Load
from bench.report import Plan
from bench.session import measure

QUICK = Load(generators=1, channels=1, calls_per_channel=4, warm_up=0.05, seconds=0.3)


async def run_against(handler, folder) -> None:
    """One window of calls to a server of *handler*, over mutual TLS."""
    authority = Authority(folder)
    server_identity, client_identity = authority.issue(SERVER), authority.issue(CLIENT)
    server = grpc.aio.server()
    method = grpc.unary_unary_rpc_method_handler(handler)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("s", {"M": method}),))
    credentials = grpc.ssl_server_credentials(
        [(server_identity.private_key.read_bytes(), server_identity.certificate.read_bytes())],
        authority.certificate.read_bytes(),
        require_client_auth=True,
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        async with Generators(QUICK) as generators:
            await generators.prepare(
                "case",
                address=f"localhost:{port}",
                identity=client_identity,
                method="/s/M",
                requests=[b"one", b"two"],
            )
            await generators.run("case", lambda: None, lambda: None)
    finally:
        await server.stop(None)


async def test_the_empty_server_is_measured():
    """A run of the empty case alone counts calls, CPU time, memory and the time to ready."""
    empty = next(case for case in cases.CASES if case.name == "empty")
    results = await measure(Plan([empty], QUICK, rounds=1, workers=1, access_log=True))
    assert results["cases"]["empty"]["calls_per_second"] > 0
    assert results["cases"]["empty"]["server_cpu_us_per_call"] > 0
    assert results["servers"]["empty"]["rest_rss_mib"][0] > 1
    assert results["servers"]["empty"]["ready_seconds"] > 0


async def test_requests_are_sent_in_turn(tmp_path):
    """Both prepared requests arrive, equally often but for the calls that were under way."""
    seen = []

    async def handler(request, context):
        seen.append(request)
        return b""

    await run_against(handler, tmp_path)
    assert set(seen) == {b"one", b"two"}
    assert abs(seen.count(b"one") - seen.count(b"two")) <= QUICK.concurrency


async def test_a_failed_call_fails_the_run(tmp_path):
    """A status other than OK is no throughput: the run stops and names it."""

    async def handler(request, context):
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too much")

    with pytest.raises(GeneratorError, match="RESOURCE_EXHAUSTED: too much"):
        await run_against(handler, tmp_path)


async def test_a_window_without_a_reply_fails_the_run(tmp_path):
    """A server that answers after the window has closed was not measured."""

    async def handler(request, context):
        await asyncio.sleep(0.6)
        return b""

    with pytest.raises(GeneratorError, match="no call ended"):
        await run_against(handler, tmp_path)


def test_a_reply_that_does_not_verify_is_an_error():
    """A minted token signed with a key that is not in the key set does not count."""
    mint = next(case for case in cases.CASES if case.name == "mint_file_eddsa")
    reply = cases.token_service_pb2.MintTokenResponse()
    reply.token.value = "eyJhbGciOiJFZERTQSIsImtpZCI6ImEifQ.e30.AA"
    with pytest.raises(facts.ReplyError, match="does not verify"):
        mint.check(reply.SerializeToString(), facts.NO_FACTS)
