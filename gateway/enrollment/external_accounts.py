"""External account binding (RFC 8555 §7.3.4): an account's key, vouched for by a key given out elsewhere.

The binding is a JWS with HMAC over the account's public key. It is the one place where a symmetric algorithm
is accepted, so it is verified here and not by `gateway.jose`, which accepts none.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Final

from gateway.clock import Clock
from gateway.enrollment.device_proof import same
from gateway.enrollment.ids import new_id
from gateway.enrollment.ports import ExternalAccountKey, ExternalAccountRepository
from gateway.enrollment.provisioners import Provisioners
from gateway.enrollment.signed_requests import FlattenedJws
from gateway.errors import AuthorizationError, Reason, RequestError, StateError
from gateway.jose import base64url
from gateway.jose.errors import JoseError
from gateway.jose.jwk import Jwk, parse_jwk
from gateway.jose.strict_json import parse_object

SECRET_SIZE: Final = 32  # octets
MAX_LIFETIME: Final = 365 * 24 * 3600.0  # seconds
_MAX_REFERENCE: Final = 256
_HASHES: Final = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


class ExternalAccounts:
    """Gives binding keys out, and checks bindings."""

    def __init__(self, *, keys: ExternalAccountRepository, provisioners: Provisioners, clock: Clock) -> None:
        self._keys = keys
        self._provisioners = provisioners
        self._clock = clock

    async def create(self, provisioner: str, reference: str, lifetime: float) -> ExternalAccountKey:
        """A new key for one account, to be bound within *lifetime* seconds.

        Raises `StateError` ENROLLMENT_NOT_FOUND, `RequestError` INVALID_FIELD.
        """
        self._provisioners.get(provisioner)
        if len(reference) > _MAX_REFERENCE or not reference.isprintable():
            raise RequestError(
                Reason.INVALID_FIELD,
                f"At most {_MAX_REFERENCE} printable characters.",
                field="reference",
            )
        if not 1 <= lifetime <= MAX_LIFETIME:
            raise RequestError(
                Reason.INVALID_FIELD, "A binding key lives a second to a year.", field="lifetime"
            )
        now = self._clock()
        key = ExternalAccountKey(
            key_id=new_id(),
            provisioner=provisioner,
            secret=secrets.token_bytes(SECRET_SIZE),
            reference=reference,
            create_time=now,
            expire_time=now + lifetime,
        )
        await self._keys.create(key)
        return key

    async def list(self, provisioner: str, *, after: str | None, limit: int) -> Sequence[ExternalAccountKey]:
        """Up to *limit* keys of the provisioner whose id sorts after *after*."""
        self._provisioners.get(provisioner)
        return await self._keys.list(provisioner, after=after, limit=limit)

    async def delete(self, provisioner: str, key_id: str) -> None:
        """Delete a key; an account that it bound stays. Raises `StateError` ENROLLMENT_NOT_FOUND."""
        key = await self._keys.get(key_id)
        if key is None or key.provisioner != provisioner or not await self._keys.delete(key_id):
            raise StateError(Reason.ENROLLMENT_NOT_FOUND, "There is no such binding key.", field="name")

    async def check(self, binding: FlattenedJws, *, provisioner: str, account_key: Jwk, url: str) -> str:
        """The id of the key that *binding* binds *account_key* with, for a request to *url*.

        That the key was not bound before is decided when the account is stored. Raises `AuthorizationError`
        EXTERNAL_ACCOUNT_REQUIRED for whatever does not hold: which, is for our log only.
        """
        try:
            header = parse_object(base64url.decode(binding.protected))
            payload = base64url.decode(binding.payload)
            signature = base64url.decode(binding.signature)
            digest = _HASHES.get(_text(header, "alg"))
            if digest is None or "nonce" in header or not same(_text(header, "url"), url):
                raise _refused("binding_header")
            key = await self._keys.get(_text(header, "kid"))
            if key is None or key.provisioner != provisioner or key.expire_time <= self._clock():
                raise _refused("binding_key_unknown")
            message = f"{binding.protected}.{binding.payload}".encode()
            if not hmac.compare_digest(hmac.new(key.secret, message, digest).digest(), signature):
                raise _refused("binding_signature")
            if not same(parse_jwk(parse_object(payload)).thumbprint, account_key.thumbprint):
                raise _refused("binding_of_another_key")
        except JoseError as error:
            raise _refused("binding_malformed") from error
        return key.key_id


def _text(header: dict[str, object], name: str) -> str:
    value = header.get(name)
    if not isinstance(value, str):
        raise _refused(f"binding_without_{name}")
    return value


def _refused(cause: str) -> AuthorizationError:
    return AuthorizationError(
        Reason.EXTERNAL_ACCOUNT_REQUIRED, "The external account binding does not hold.", cause=cause
    )
