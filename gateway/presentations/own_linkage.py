"""Our own Domain Linkage Credentials: the proof that the gateway's DID controls its origins.

What is made is checked by the reader of the same format before it is given out.
"""

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from gateway.clock import Clock, system_clock
from gateway.dids import Relationship, parse_did_url
from gateway.errors import AvailabilityError
from gateway.keys.model import KeyPurpose
from gateway.presentations.did_configuration import did_configuration
from gateway.presentations.domain_linkage_credential import (
    CONFIGURATION_CONTEXT,
    CREDENTIAL_CONTEXT,
    CREDENTIAL_TYPES,
    verify_domain_linkage_credential,
)
from gateway.presentations.origins import Origin
from gateway.presentations.own_did import OwnDid, OwnKey
from signers import SignerError

logger = logging.getLogger(__name__)

_DAY: Final = 86_400


async def issue_domain_linkage_credential(key: OwnKey, origin: Origin, *, now: int, lifetime: int) -> str:
    """A Domain Linkage Credential for *origin*, valid for *lifetime* seconds from *now*, as a compact JWT.

    Raises `SignerError`, and `ValueError` for a lifetime that is not above 0.
    """
    if lifetime <= 0:
        raise ValueError("the lifetime is above 0")
    did = parse_did_url(key.method_id).did.text
    payload = json.dumps(_claims(did, origin, now, now + lifetime), separators=(",", ":")).encode()
    return await key.sign(payload, None)


@dataclass(frozen=True, slots=True)
class _Signed:
    """A resource: what is served, under which method it verifies, and from when until when (seconds)."""

    resource: bytes = b""
    method_id: str = ""
    begins: float = float("-inf")
    ends: float = float("-inf")


class OwnDidConfiguration:
    """``did-configuration.json`` for *origins*, signed when it is asked for.

    It is signed anew at half its lifetime, and as soon as another key is active.

    - *lifetime*: seconds for which a credential is valid.
    - *retry_interval*: seconds after a failed signature in which none is tried, as long as there is a valid
      credential.

    Callers who find none wait for the one who has it signed. While a new one is being signed and while the
    signer is unavailable, one that is still valid is given out, unless its key left the document. Belongs to
    one event loop.
    """

    def __init__(
        self,
        own: OwnDid,
        origins: Sequence[Origin],
        *,
        lifetime: int = 90 * _DAY,
        retry_interval: float = 30.0,
        clock: Clock = system_clock,
    ) -> None:
        if not origins:
            raise ValueError("there is at least one origin")
        self._own = own
        self._origins = tuple(origins)
        self._lifetime = lifetime
        self._retry_interval = retry_interval
        self._clock = clock
        self._lock = asyncio.Lock()
        self._signed = _Signed()
        self._failed = float("-inf")

    async def resource(self) -> bytes:
        """The resource as UTF-8 JSON.

        Raises `SignerError` or `AvailabilityError` where there is none that is valid and none can be signed.
        """
        if self._is_fresh() or (self._lock.locked() and self._is_valid()):
            return self._signed.resource
        async with self._lock:
            if not self._is_fresh():
                await self._renew()
            return self._signed.resource

    async def _renew(self) -> None:
        now = int(self._clock())
        try:
            self._signed = await self._sign(now)
        except (SignerError, AvailabilityError) as error:
            if not self._is_valid():
                raise
            self._failed = now
            logger.warning("The DID configuration could not be signed anew: %s", error)

    async def _sign(self, now: int) -> _Signed:
        key = self._own.signing_key(KeyPurpose.LINKED_DOMAINS)
        credentials = []
        for origin in self._origins:
            credential = await issue_domain_linkage_credential(key, origin, now=now, lifetime=self._lifetime)
            verify_domain_linkage_credential(credential, self._own.document(), origin, now=now)
            credentials.append(credential)
        return _Signed(did_configuration(credentials), key.method_id, now, now + self._lifetime)

    def _is_valid(self) -> bool:
        # A clock that was set back must not give out a credential that is not valid yet, and a disabled key
        # takes along what it signed.
        return self._signed.begins <= self._clock() < self._signed.ends and any(
            method.id == self._signed.method_id and Relationship.ASSERTION_METHOD in method.relationships
            for method in self._own.document().methods
        )

    def _is_fresh(self) -> bool:
        now = self._clock()
        if not self._is_valid():
            return False
        if self._failed <= now < self._failed + self._retry_interval:
            return True
        return now < self._signed.begins + self._lifetime / 2 and self._is_active()

    def _is_active(self) -> bool:
        try:
            return self._own.signing_key(KeyPurpose.LINKED_DOMAINS).method_id == self._signed.method_id
        except AvailabilityError:
            return False  # `_renew` tells why, and goes on with what is valid.


def _claims(did: str, origin: Origin, issued: int, expires: int) -> dict[str, Any]:
    return {
        "exp": expires,
        "iss": did,
        "nbf": issued,
        "sub": did,
        "vc": {
            "@context": [CREDENTIAL_CONTEXT, CONFIGURATION_CONTEXT],
            "type": list(CREDENTIAL_TYPES),
            "issuer": did,
            "issuanceDate": _date(issued),
            "expirationDate": _date(expires),
            "credentialSubject": {"id": did, "origin": str(origin)},
        },
    }


def _date(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
