"""The table from reasons to OAuth errors."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

import gateway
from gateway.edge.browser import page
from gateway.edge.oauth_errors import MAX_DESCRIPTION, OAUTH, HttpError, oauth_error, oauth_row
from gateway.errors import AvailabilityError, DpopNonceError, GatewayError, Reason, RequestError

ROOT = Path(gateway.__file__).parent
ROOMS = (
    *("tokens", "introspection", "proofs", "limits"),
    *("keys/keyring.py", "admission.py", "request_callers.py"),
)
OTHER_DOORS = {
    # Registration of clients is no OAuth endpoint here.
    *("INVALID_CLIENT_METADATA", "CLIENT_NOT_FOUND", "CLIENT_ALREADY_EXISTS", "ETAG_MISMATCH"),
}


def raised() -> set[str]:
    """The names of the reasons in what the OAuth endpoints are made of."""
    files = [
        file for room in ROOMS for file in ((ROOT / room).rglob("*.py") if "." not in room else [ROOT / room])
    ]
    return {name for file in files for name in re.findall(r"Reason\.([A-Z_]+)", file.read_text())}


@pytest.mark.parametrize("name", sorted(raised() - OTHER_DOORS))
def test_every_reason_of_the_endpoints_has_a_row(name):
    """Whatever a use case behind an OAuth endpoint raises has an error of its own."""
    assert Reason(name) in OAUTH


def test_other_reasons_are_internal():
    """What no OAuth endpoint should raise is told as server_error."""
    assert oauth_row(GatewayError(Reason.KEY_ALREADY_EXISTS, "x")) == OAUTH[Reason.INTERNAL]


@pytest.mark.parametrize("reason", list(OAUTH))
def test_statuses(reason):
    """Only what another attempt can mend is 5xx or says when; only 401 can carry a challenge."""
    response = oauth_error(GatewayError(reason, "why"), scheme="bearer")
    status, error = OAUTH[reason]
    assert response.status_code == status
    assert ("www-authenticate" in response.headers) == (status == 401)
    assert error.encode() in response.body
    assert response.headers["cache-control"] == "no-store"
    if "retry-after" in response.headers:
        assert status in {429, 503}


@pytest.mark.parametrize(
    ("scheme", "begin"), [("basic", "Basic "), ("bearer", "Bearer "), ("dpop", "DPoP "), ("x", "Bearer ")]
)
def test_challenges(scheme, begin):
    """A challenge is of the scheme that was tried; nobody who tried none is challenged."""
    told = GatewayError(Reason.INVALID_TOKEN, "no")
    assert oauth_error(told, scheme=scheme).headers["www-authenticate"].startswith(begin)
    assert "www-authenticate" not in oauth_error(told, scheme=None).headers


def test_nonces():
    """A nonce is demanded with 400 at the token endpoint, with 401 beside a token (RFC 9449 §8, §9)."""
    told = DpopNonceError("nonce", cause="nonce_missing")
    first, second = oauth_error(told, scheme=None), oauth_error(told, scheme="dpop")
    assert (first.status_code, second.status_code) == (400, 401)
    assert first.headers["dpop-nonce"] == second.headers["dpop-nonce"] == "nonce"
    assert "www-authenticate" not in first.headers
    assert 'error="use_dpop_nonce"' in second.headers["www-authenticate"]


def test_descriptions_stay_in_their_characters():
    """RFC 6749 §5.2 forbids quotes, backslashes and what is not ASCII; and a text is bounded."""
    response = oauth_error(GatewayError(Reason.INVALID_SCOPE, 'a"b\\cé\n' + "x" * 1000), scheme=None)
    assert b"a'b'c''x" in response.body
    assert len(response.body) < MAX_DESCRIPTION + 100


def test_retry_after_is_whole_seconds():
    """HTTP counts in seconds, at least one."""
    told = AvailabilityError(Reason.SIGNER_BUSY, "busy", retry_after=timedelta(seconds=2.1))
    assert oauth_error(told, scheme=None).headers["retry-after"] == "3"
    assert oauth_error(AvailabilityError(Reason.SIGNER_BUSY, "x"), scheme=None).headers["retry-after"] == "1"


def test_a_page_tells_when_to_come_again():
    """A browser that is refused for a while is told for how long, as any client is; one at fault is not."""
    told = AvailabilityError(Reason.RATE_LIMITED, "Too often.", retry_after=timedelta(seconds=30))
    response = page(told)
    assert (response.status_code, response.headers["retry-after"]) == (429, "30")
    assert "retry-after" not in page(RequestError(Reason.INVALID_REQUEST, "no")).headers


def test_http_errors_keep_their_status():
    """A request that HTTP itself forbids has the status and the headers that HTTP has for it."""
    response = oauth_error(HttpError(405, "Use POST.", headers={"allow": "POST"}), scheme=None)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
