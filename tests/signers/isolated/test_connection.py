"""The gateway's end of a signer process that does not keep to the protocol, and the process's own end."""

import asyncio
import socket
import subprocess
import sys

import pytest

from signers import SignerTimeoutError, SignerUnavailableError
from signers.isolated import process
from signers.isolated.connection import Connection
from signers.isolated.frames import Kind, frame, json_payload, sign_payload, signed_payload
from signers.pkcs11.signing_key import TimedSignature
from softhsm.provision import ROOT
from tests.support.softhsm import eventually

MESSAGE = b"message"
SIGNATURE = b"s" * 64
SIGNED = TimedSignature(SIGNATURE, 0.25, 0.5)


@pytest.fixture
async def peer():
    """A connection, and the socket that speaks for a signer process which does nothing."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    idle = subprocess.Popen(command)  # noqa: ASYNC220 - the loop has nothing else to do
    connection = Connection(idle, ours, timeout=1.0, changed=lambda: None)
    try:
        yield connection, theirs
    finally:
        connection.lose("the test ended")
        theirs.close()
        idle.wait(10)


def good(number: int) -> bytes:
    """The answer to the request of that number for one signature."""
    return frame(Kind.SIGNED, number, signed_payload(sign_payload(1, [MESSAGE]), [SIGNED]))


async def test_answers_find_their_requests_in_any_order(peer):
    """Each caller has the answer to its own request, whatever the order and the cuts."""
    connection, theirs = peer
    futures = [connection.sign(1, [MESSAGE], 64, "k") for _ in range(3)]
    for byte in good(3) + good(1):
        theirs.send(bytes([byte]))
    assert await futures[2] == [SIGNED]
    assert await futures[0] == [SIGNED]
    assert not futures[1].done()


@pytest.mark.parametrize(
    "answer",
    [
        b"\xff" * 64,
        frame(
            Kind.STATE, 0, json_payload({"available": True, "stuck": 0, "detail": "", "refused": [["token"]]})
        ),
        frame(Kind.SIGNED, 99, signed_payload(sign_payload(1, [MESSAGE]), [SIGNED])),
        frame(Kind.SIGNED, 1, signed_payload(sign_payload(1, [b"other"]), [SIGNED])),
        frame(
            Kind.SIGNED,
            1,
            signed_payload(sign_payload(1, [MESSAGE]), [SIGNED._replace(signature=SIGNATURE[:-1])]),
        ),
        frame(Kind.SIGNED, 1, b""),
        frame(Kind.DONE, 1, b"{}"),
        frame(Kind.SIGN, 1, b""),
        frame(Kind.FAILED, 1, b"{}"),
        frame(Kind.FAILED, 1, json_payload({"error": "KeyError", "message": "m", "key": None})),
        frame(Kind.STATE, 0, json_payload({"available": 1})),
        frame(Kind.LOG, 0, json_payload({"name": 1})),
        good(1) + good(1),
    ],
    ids=[
        "garbage",
        "no refusal",
        "unknown id",
        "another message",
        "short signature",
        "empty",
        "another kind",
        "a request",
        "no error",
        "no error of signers",
        "no state",
        "no record",
        "twice",
    ],
)
async def test_malformed_answers_end_the_process(peer, answer):
    """After one malformed answer nothing that the process says counts: it is killed, and all callers told."""
    connection, theirs = peer
    futures = [connection.sign(1, [MESSAGE], 64, "k") for _ in range(2)]
    theirs.send(answer)
    with pytest.raises(SignerUnavailableError):
        await futures[1]
    assert connection.lost == "it did not keep to the protocol"
    assert connection.process.wait(10) < 0
    with pytest.raises(SignerUnavailableError):
        connection.sign(1, [MESSAGE], 64, "k")


async def test_silence_is_ended_at_the_bound(peer):
    """Who says nothing until a signature is given up is killed; its callers had their reason."""
    connection, _ = peer
    with pytest.raises(SignerTimeoutError):
        await connection.sign(1, [MESSAGE], 64, "k")
    assert connection.lost == "it hung"


async def test_a_slow_process_that_answers_is_not_killed(peer):
    """A process that has more to do than time, but answers, goes on, and late answers are dropped."""
    connection, theirs = peer
    late = connection.sign(1, [MESSAGE], 64, "k")
    await asyncio.sleep(0.7)
    connection.sign(1, [MESSAGE], 64, "k")
    theirs.send(good(2))
    with pytest.raises(SignerTimeoutError):
        await late
    theirs.send(good(1))
    await eventually(lambda: 1 not in connection.pending)
    assert connection.lost is None


async def test_requests_larger_than_the_socket_takes(peer):
    """What the socket does not take at once follows when it can, and nothing is lost or mixed."""
    connection, theirs = peer
    large = bytes(3_000_000)
    futures = [connection.sign(1, [large], 64, "k") for _ in range(2)]
    expected = sum(len(frame(Kind.SIGN, 1, sign_payload(1, [large]))) for _ in range(2))
    received = 0
    while received < expected:
        received += len(await asyncio.to_thread(theirs.recv, 1 << 20))
    answer = signed_payload(sign_payload(1, [large]), [SIGNED])
    theirs.send(frame(Kind.SIGNED, 1, answer) + frame(Kind.SIGNED, 2, answer))
    assert await asyncio.gather(*futures) == [[SIGNED]] * 2


@pytest.mark.parametrize("data", [b"\xff" * 64, frame(Kind.DONE, 1, b"{}"), frame(Kind.SIGN, 1, b"")])
async def test_the_process_ends_at_malformed_requests(data):
    """The signer process does not guess at what it cannot read."""
    started, ours = process.start()
    try:
        ours.send(data)
        assert await process.wait(started, 10) == 1
    finally:
        ours.close()
        await process.kill(started)


def test_the_process_loads_no_more_than_it_needs():
    """Neither the gateway nor gRPC nor SQL comes with it, and no event loop."""
    code = (
        "import sys, signers.isolated.program;"
        "print(sorted({'gateway', 'grpc', 'sqlalchemy', 'asyncio'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert result.stdout.strip() == "[]"
