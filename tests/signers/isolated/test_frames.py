"""The frames between the gateway and its signer process."""

import struct
import zlib

import pytest

from signers import KeyMismatchError, SignerUnavailableError
from signers.isolated.frames import (
    MAX_FRAME,
    FrameError,
    FrameReader,
    Kind,
    failed_payload,
    frame,
    parse_failed,
    parse_json,
    parse_sign,
    parse_signed,
    sign_payload,
    signed_payload,
)
from signers.pkcs11.signing_key import TimedSignature

SIGNED = TimedSignature(b"1" * 64, 0.25, 0.5)


def test_frames_survive_any_cut():
    """Frames come out whole and in order, however the stream is cut."""
    sent = [(Kind.SIGN, 1, b"abc"), (Kind.HEALTH, 2, b""), (Kind.SIGNED, 0xFFFFFFFF, bytes(300))]
    stream = b"".join(frame(*each) for each in sent)
    for step in (1, 2, 7, 100, len(stream)):
        reader = FrameReader()
        cuts = [stream[start : start + step] for start in range(0, len(stream), step)]
        assert [each for cut in cuts for each in reader.feed(cut)] == sent


@pytest.mark.parametrize(("length", "kind"), [(0, 0), (0, 15), (0, 255), (MAX_FRAME + 1, 6)])
def test_frames_of_no_kind_or_beyond_the_limit_are_refused(length, kind):
    """An unknown kind and a length beyond the limit end the conversation before anything is stored."""
    with pytest.raises(FrameError):
        list(FrameReader().feed(struct.pack("<IBI", length, kind, 1)))


def test_too_large_a_payload_is_not_sent():
    """What the other side would refuse raises here, to the caller alone."""
    with pytest.raises(SignerUnavailableError):
        frame(Kind.SIGN, 1, bytes(MAX_FRAME + 1))


def test_sign_requests_round_trip():
    """Messages of any length, none included, arrive as they were."""
    messages = [b"", b"a", bytes(5000)]
    request = parse_sign(sign_payload(7, messages))
    assert (request.key, list(request.messages)) == (7, messages)


@pytest.mark.parametrize(
    "payload",
    [b"", b"\x01", sign_payload(1, [b"ab"])[:-1], sign_payload(1, [b"ab"]) + b"x", struct.pack("<IH", 1, 0)],
)
def test_malformed_sign_requests(payload):
    """A request that is cut, too long or empty is refused."""
    with pytest.raises(FrameError):
        parse_sign(payload)


def test_signatures_round_trip():
    """The signatures come back one by one, in their order, each with its times."""
    request = sign_payload(1, [b"a", b"b"])
    signed = [TimedSignature(b"1" * 64, 0.25, 0.5), TimedSignature(b"2" * 64, 0.125, 2.0)]
    answer = signed_payload(request, signed)
    assert parse_signed(answer, zlib.crc32(request), 2, 64) == signed


@pytest.mark.parametrize(
    "damage",
    [
        lambda answer: answer[:-1],
        lambda answer: answer + b"x",
        lambda answer: answer[:-1] + bytes([answer[-1] ^ 1]),
        lambda _: signed_payload(sign_payload(1, [b"b"]), [SIGNED]),
    ],
    ids=["cut", "longer", "flipped", "of another request"],
)
def test_signatures_that_do_not_belong_to_the_request(damage):
    """Signatures that are cut, damaged or over another message are refused."""
    request = sign_payload(1, [b"a"])
    answer = damage(signed_payload(request, [SIGNED]))
    with pytest.raises(FrameError):
        parse_signed(answer, zlib.crc32(request), 1, 64)


def test_errors_round_trip():
    """An error keeps its class, message and key."""
    error = parse_failed(parse_json(failed_payload(KeyMismatchError("replaced", key="pkcs11:x"))))
    assert (type(error), str(error), error.key) == (KeyMismatchError, "replaced", "pkcs11:x")


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"error": "Exception", "message": "m", "key": None},
        {"error": "__name__", "message": "m", "key": None},
        {"error": "PinError", "message": 1, "key": None},
        {"error": "PinError", "message": "m", "key": 1},
    ],
)
def test_malformed_errors(members):
    """What names no error of signers, or is no text, is refused."""
    with pytest.raises(FrameError):
        parse_failed(members)


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"\xff"])
def test_payloads_that_are_no_object(payload):
    """A payload that is no JSON object is refused."""
    with pytest.raises(FrameError):
        parse_json(payload)
