"""What a server answers, form by form; the words are those of OpenBao 2.7.2."""

import json

import pytest

from signers import (
    AccessDeniedError,
    KeyNotFoundError,
    KeyUnusableError,
    SignatureInvalidError,
    SignerThrottledError,
    SignerUnavailableError,
)
from signers.remote.http import HttpReply
from signers.vault.replies import (
    MAX_TEXT,
    Token,
    parse_key,
    parse_login,
    parse_lookup,
    parse_signatures,
    reply_data,
)

KEY = "vault:key=a"


def answer(status, body=b"", **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpReply(status, {name.replace("_", "-"): value for name, value in headers.items()}, content)


@pytest.mark.parametrize(
    ("status", "text", "error"),
    [
        (400, "signing key not found", KeyNotFoundError),
        (
            400,
            "requested version for signing is less than the minimum encryption key version",
            KeyUnusableError,
        ),
        (400, "unsupported path", KeyUnusableError),
        (401, "", AccessDeniedError),
        (403, "permission denied", AccessDeniedError),
        (404, 'no handler for route "nomount/sign/none". route entry not found.', KeyNotFoundError),
        (412, "required index state not present", SignerUnavailableError),
        (429, "request path rate limit quota exceeded", SignerThrottledError),
        (307, "", SignerUnavailableError),
        (472, "", SignerUnavailableError),
        (473, "", SignerUnavailableError),
        (500, "internal error", SignerUnavailableError),
        (502, "", SignerUnavailableError),
        (503, "Vault is sealed", SignerUnavailableError),
        (504, "", SignerUnavailableError),
        (418, "", KeyUnusableError),
    ],
)
def test_refusals(status, text, error):
    """Each status has its error, with the server's words and the key's name."""
    with pytest.raises(error) as caught:
        reply_data(answer(status, {"errors": [text]}), KEY)
    assert type(caught.value) is error
    assert caught.value.key == KEY


@pytest.mark.parametrize(
    ("header", "seconds"), [({}, None), ({"retry_after": "7"}, 7), ({"retry_after": "999999"}, 60),
                            ({"retry_after": "-1"}, None), ({"retry_after": "soon"}, None)]
)  # fmt: skip
def test_time_to_come_again(header, seconds):
    """Retry-After in seconds is kept within a bound; what is no number tells nothing."""
    with pytest.raises(SignerThrottledError) as caught:
        reply_data(answer(429, b"", **header), KEY)
    assert caught.value.retry_after == seconds


def test_servers_words_are_bounded():
    """A long or unprintable text is cut and cleaned before it is in a log."""
    with pytest.raises(KeyUnusableError) as caught:
        reply_data(answer(400, {"errors": ["a\n\x1b[31m" + "b" * 10_000]}), KEY)
    assert len(str(caught.value)) < MAX_TEXT + 50
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"[" * 100_000], ids=range(5))
def test_bodies_that_are_none(body):
    """A body that is no object counts as empty, in a refusal and in a success."""
    with pytest.raises(SignerUnavailableError):
        reply_data(answer(500, body), KEY)
    assert reply_data(answer(200, body), KEY) == {}
    assert reply_data(answer(204), KEY) == {}


def test_failed_batch_may_be_a_bad_request():
    """The items of a batch are read even where all of them failed and the status says so."""
    members = reply_data(answer(400, {"data": {"batch_results": [{"error": "signing key not found"}]}}), KEY)
    (item,) = parse_signatures(members, 1, 1, KEY)
    assert type(item) is KeyNotFoundError


@pytest.mark.parametrize(
    ("item", "kind"),
    [
        ({"signature": "vault:v2:AAAA"}, bytes),
        ({"signature": "vault:v3:AAAA"}, SignatureInvalidError),
        ({"signature": "vault:v2:AAA"}, SignatureInvalidError),
        ({"signature": "vault:v2:"}, SignatureInvalidError),
        ({"signature": "AAAA"}, SignatureInvalidError),
        ({"signature": 7}, SignatureInvalidError),
        ({}, SignatureInvalidError),
        ("vault:v2:AAAA", SignatureInvalidError),
        ({"error": "requested version for signing is higher than the latest key version"}, KeyUnusableError),
        ({"error": "requested version for signing is less than the minimum encryption key version"},
         KeyUnusableError),
    ],
)  # fmt: skip
def test_items_of_a_batch(item, kind):
    """An item is a signature by the version asked for, or an error of its own."""
    (got,) = parse_signatures({"data": {"batch_results": [item]}}, 1, 2, KEY)
    assert type(got) is kind


@pytest.mark.parametrize("data", [None, {}, {"batch_results": None}, {"batch_results": []}, [1]], ids=str)
def test_batch_of_another_length(data):
    """A reply with another number of items is no reply to this request."""
    with pytest.raises(SignatureInvalidError):
        parse_signatures({"data": data}, 1, 1, KEY)


def description(**changes):
    data = {
        "type": "ed25519",
        "latest_version": 1,
        "supports_signing": True,
        "keys": {"1": {"public_key": "qYd+HbElSGg0YaLUyh02bXDixAd3eVFGqR2+piuBp/E="}},
    }
    return {"data": {**data, **changes}}


def test_description_of_a_key():
    """A key's type, versions and public keys are read."""
    key = parse_key(description(), KEY)
    assert (key.key_type, key.latest_version, key.signs, key.derived, key.soft_deleted) == (
        "ed25519", 1, True, False, False,
    )  # fmt: skip
    assert list(key.public_keys) == [1]


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"data": None},
        description(type=None),
        description(keys=None),
        description(keys={"one": {"public_key": "AAAA"}}),
        description(keys={"1": {"public_key": "AAAA"}}),
        description(keys={"1": {"public_key": 7}}),
        description(type="rsa-2048", keys={"1": {"public_key": "-----BEGIN PUBLIC KEY-----"}}),
        description(latest_version="latest"),
    ],
    ids=range(9),
)
def test_descriptions_that_are_none(members):
    """A description in no known form is the service's fault, and no key."""
    with pytest.raises(SignerUnavailableError):
        parse_key(members, KEY)


def test_tokens():
    """Logins and look-ups give a token and its time; what holds none is refused, and no token is shown."""
    login = {"auth": {"client_token": "hvs.secret", "lease_duration": 60, "renewable": True}}
    assert parse_login(login, KEY) == Token("hvs.secret", 60, renewable=True)
    assert parse_lookup("t", {"data": {"ttl": 0}}, KEY) == Token("t", 0, renewable=False)
    assert "hvs.secret" not in repr(parse_login(login, KEY))
    for members in ({}, {"auth": None}, {"auth": {"client_token": "", "lease_duration": 1}}):
        with pytest.raises(SignerUnavailableError):
            parse_login(members, KEY)
    for members in ({}, {"data": None}, {"data": {"ttl": "long"}}):
        with pytest.raises(SignerUnavailableError):
            parse_lookup("t", members, KEY)
