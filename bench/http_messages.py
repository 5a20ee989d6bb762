"""Token requests over HTTP as octets, the same for every server, and what their replies must hold."""

import base64
import json
from collections.abc import Sequence
from urllib.parse import quote_plus, urlencode

from bench.facts import AUDIENCE, SCOPES, SECRET_CLIENT_ID, Facts, ReplyError, verify_token


def token_requests(facts: Facts, path: str) -> Sequence[bytes]:
    """A client credentials request by client_secret_basic (RFC 6749 §4.4.2, §2.3.1), HTTP/1.1."""
    credentials = base64.b64encode(f"{SECRET_CLIENT_ID}:{quote_plus(facts.secret)}".encode()).decode()
    form = {"grant_type": "client_credentials", "scope": " ".join(SCOPES), "resource": AUDIENCE}
    body = urlencode(form)
    head = (
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        "Accept: application/json",
        f"Authorization: Basic {credentials}",
        "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(body)}",
    )
    return ["\r\n".join((*head, "", body)).encode()]


def check_token(reply: bytes, facts: Facts) -> None:
    """*reply*, the body of a response, is a token response with a bearer token. Raises `ReplyError`."""
    try:
        document = json.loads(reply)
        token, kind = document["access_token"], document["token_type"]
    except (ValueError, KeyError) as error:
        raise ReplyError("A reply is not a token response.") from error
    if kind != "Bearer":
        raise ReplyError(f"A token came with the type {kind}.")
    verify_token(token, facts, SECRET_CLIENT_ID)
