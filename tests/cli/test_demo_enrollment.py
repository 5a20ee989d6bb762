"""The demo's story of a device, and the small OpenID provider that it logs in at."""

import base64
import hashlib
import json
from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest
from countersign import CountersignError, EnrollmentRefusedError

from gateway.cli import demo_enrollment
from gateway.cli.demo_provider import DemoProvider
from gateway.cli.development import Addresses, DevelopmentKey, prepare
from gateway.cli.storytelling import Stage

CALLBACK = "https://app.example.org/callback"
VERIFIER = "v" * 43


def asked(**changes: str) -> dict[str, str]:
    """An authorization request, with anything changed."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    return {
        "client_id": "app",
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "state": "s",
        "nonce": "n",
        "claims": json.dumps({"id_token": {"keyauth": {"essential": True, "value": "k"}}}),
    } | changes


@pytest.fixture
def provider(tmp_path):
    """A provider that serves."""
    prepare(tmp_path, DevelopmentKey(), Addresses("127.0.0.1:0", "127.0.0.1:0", "", ""))
    with DemoProvider(tmp_path, client_id="app", redirect_uri=CALLBACK, user={"sub": "alice"}) as running:
        yield running


async def test_a_device_is_enrolled(tmp_path, capsys):
    """Each step says what came of it, to the end."""
    await demo_enrollment.tell(tmp_path / "gateway", Stage("keys in files", (), {}))

    said = capsys.readouterr().out
    assert [line.split(".")[0].strip() for line in said.splitlines() if line[2:3].isdigit()] == [
        *("7", "8", "9", "10", "11", "12")
    ]
    assert "URI     wireapp://%40alice@countersign.test" in said
    assert said.rstrip().endswith("revoked")


async def test_another_user_ends_the_demo(tmp_path, monkeypatch):
    """Nothing is told as done that was not done."""
    monkeypatch.setitem(demo_enrollment._ALICE, "name", "Mallory")

    with pytest.raises((EnrollmentRefusedError, CountersignError)):
        await demo_enrollment.tell(tmp_path / "gateway", Stage("keys in files", (), {}))


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "other"},
        {"redirect_uri": "https://other.example.org"},
        {"response_type": "token"},
        {"code_challenge_method": "plain"},
    ],
)
def test_another_request_gets_no_code(provider, changes):
    """What is not the demo's own client's is not answered with a redirect."""
    assert provider.authorize(asked(**changes)) is None


def test_a_code_works_once_for_its_verifier(provider):
    """PKCE, and claims with the values that were asked for."""
    codes = [dict(parse_qsl(urlsplit(provider.authorize(asked()) or "").query))["code"] for _ in range(2)]
    good = {"code": codes[0], "code_verifier": VERIFIER}

    tokens = provider.redeem(good)

    claims = jwt.decode(tokens["id_token"], options={"verify_signature": False})
    assert (claims["sub"], claims["keyauth"], claims["nonce"]) == ("alice", "k", "n")
    assert provider.redeem(good) is None
    assert provider.redeem({"code": codes[1], "code_verifier": "x" * 43}) is None
