"""How an OAuth client authenticates over HTTP: exactly one way per request (RFC 6749 §2.3)."""

import binascii
from dataclasses import dataclass
from typing import Final

from gateway.edge.form import Form, form_decoded
from gateway.errors import Reason, RequestError
from gateway.jose.errors import JoseError
from gateway.jose.jws import parse_compact
from gateway.jose.jwt import Claims
from gateway.tokens.client import ClientAuthenticationMethod
from gateway.tokens.client_authentication import ClientCredential, ClientSecret, PrivateKeyJwt, refused

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_MAX_ASSERTION: Final = 8 * 1024


@dataclass(frozen=True, slots=True)
class ClientClaim:
    """Who the client says it is, and what is to prove it; without a credential its certificate is."""

    client_id: str | None
    credential: ClientCredential | None

    def require_client_id(self) -> str:
        """The client id. Raises `RequestError` MISSING_FIELD."""
        if self.client_id is None:
            raise RequestError(Reason.MISSING_FIELD, "Send client_id.", field="client_id")
        return self.client_id


def client_claim(basic: str | None, form: Form) -> ClientClaim:
    """What the request claims. *basic*: the credentials of an ``Authorization: Basic``, None without one.

    Raises `RequestError` INVALID_REQUEST, MISSING_FIELD, `AuthenticationError` INVALID_CLIENT.
    """
    client_id, secret, assertion = (
        form.get("client_id"),
        form.get("client_secret"),
        form.get("client_assertion"),
    )
    if sum(each is not None for each in (basic, secret, assertion)) > 1:
        raise RequestError(
            Reason.INVALID_REQUEST, "Authenticate the client in one way.", cause="several_authentications"
        )
    if basic is not None:
        return _from_basic(basic, client_id)
    if assertion is not None or form.get("client_assertion_type") is not None:
        return _from_assertion(form, client_id)
    if secret is not None:
        return ClientClaim(client_id, ClientSecret(secret, ClientAuthenticationMethod.CLIENT_SECRET_POST))
    return ClientClaim(client_id, None)


def _from_basic(encoded: str, named: str | None) -> ClientClaim:
    """RFC 6749 §2.3.1: both parts are form-encoded before they are joined."""
    try:
        octets = binascii.a2b_base64(encoded.encode("ascii"), strict_mode=True)
        name, separator, password = octets.partition(b":")
        client_id, secret = form_decoded(name), form_decoded(password)
    except (ValueError, RequestError) as error:
        raise refused("basic_malformed") from error
    if not separator or not client_id or not secret:
        raise refused("basic_malformed")
    if named is not None and named != client_id:
        raise _conflicting()
    return ClientClaim(client_id, ClientSecret(secret, ClientAuthenticationMethod.CLIENT_SECRET_BASIC))


def _from_assertion(form: Form, named: str | None) -> ClientClaim:
    """RFC 7521 §4.2: the type goes with the assertion; the client id may be left out."""
    assertion = form.require("client_assertion")
    if form.require("client_assertion_type") != ASSERTION_TYPE:
        raise refused("assertion_type_unknown")
    subject = _subject(assertion)
    if named is not None and named != subject:
        raise refused("assertion_subject_is_another_client")
    return ClientClaim(subject, PrivateKeyJwt(assertion))


def _subject(assertion: str) -> str:
    """Which client the assertion names. Not verified here: the authenticator demands that it is this one."""
    try:
        return Claims.parse(parse_compact(assertion, max_size=_MAX_ASSERTION).payload).string("sub")
    except JoseError as error:
        raise refused(f"assertion_{error.code}") from error


def _conflicting() -> RequestError:
    return RequestError(
        Reason.INVALID_REQUEST,
        "client_id names another client than the Authorization header.",
        field="client_id",
        cause="client_ids_conflict",
    )
