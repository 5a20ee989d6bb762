"""An issuer of VerifiedEmployee credentials, with its status lists, as JWTs made by PyJWT.

issuer = EmployeeIssuer(identity("web", Algorithm.ES256, host=...), f"https://{host}/status/1")
credential = issuer.issue(holder.did, status=True)
issuer.revoke(credential)
issuer.status_list()                                  # what is served at the URL
"""

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

import jwt

from gateway.presentations.status import Dialect, StatusBits, credential_claims, token_claims
from tests.support.wallet_identities import Identity

CREDENTIAL_TYPE: Final = "VerifiedEmployee"
ALICE: Final = {
    "displayName": "Alice Smith",
    "givenName": "Alice",
    "surname": "Smith",
    "jobTitle": "Engineer",
    "preferredLanguage": "en-US",
    "mail": "alice@woodgrove.example",
}
_YEAR: Final = 365 * 86_400
_ENTRY_TYPES: Final = {
    Dialect.REVOCATION_LIST_2021: "RevocationList2021Status",
    Dialect.STATUS_LIST_2021: "StatusList2021Entry",
    Dialect.BITSTRING: "BitstringStatusListEntry",
}


class EmployeeIssuer:
    """Issues credentials as *identity*, and keeps their status in a list of *dialect* at *status_url*."""

    def __init__(
        self,
        identity: Identity,
        status_url: str = "",
        dialect: Dialect = Dialect.REVOCATION_LIST_2021,
    ) -> None:
        self.identity = identity
        self.status_url = status_url
        self.dialect = dialect
        self._bits = StatusBits(dialect)
        self._issued = 0

    def claims(
        self, subject: str, *, status: bool = False, employee: Mapping[str, Any] = ALICE
    ) -> dict[str, Any]:
        """The claims of a credential about *subject*, valid for a year: change them, and sign them."""
        now = int(time.time())
        credential: dict[str, Any] = {
            "@context": ["https://www.w3.org/2018/credentials/v1"],
            "type": ["VerifiableCredential", CREDENTIAL_TYPE],
            "credentialSubject": dict(employee),
        }
        claims: dict[str, Any] = {
            "iss": self.identity.did,
            "sub": subject,
            "jti": f"urn:uuid:{uuid4()}",
            "nbf": now - 60,
            "iat": now - 60,
            "exp": now + _YEAR,
            "vc": credential,
        }
        if status:
            self._add_status(claims)
        return claims

    def issue(self, subject: str, *, status: bool = False, employee: Mapping[str, Any] = ALICE) -> str:
        """A credential about *subject*, as a compact JWT; with *status*, one that can be revoked."""
        return self.identity.sign(self.claims(subject, status=status, employee=employee))

    def revoke(self, credential: str) -> None:
        """Set the bit of *credential*; the next `status_list` has it."""
        claims = jwt.decode(credential, options={"verify_signature": False})
        if self.dialect is Dialect.TOKEN:
            self._bits.set(claims["status"]["status_list"]["idx"])
        else:
            self._bits.set(int(claims["vc"]["credentialStatus"]["statusListIndex"]))

    def status_list(self) -> str:
        """The list as a compact JWT, to be served at `status_url`."""
        now = int(time.time())
        span = {"issued_at": now - 60, "expires_at": now + 3600}
        if self.dialect is Dialect.TOKEN:
            token = token_claims(self._bits, uri=self.status_url, issuer=self.identity.did, ttl=3600, **span)
            return self.identity.sign(token, typ="statuslist+jwt")
        listed = credential_claims(
            self._bits, uri=self.status_url, issuer=self.identity.did, purposes=["revocation"], **span
        )
        return self.identity.sign(listed)

    def did_configuration(self, origin: str) -> bytes:
        """The DID configuration that links the issuer to *origin*, to be served there."""
        did, now = self.identity.did, int(time.time()) - 60
        credential: dict[str, Any] = {
            "@context": [
                "https://www.w3.org/2018/credentials/v1",
                "https://identity.foundation/.well-known/did-configuration/v1",
            ],
            "type": ["VerifiableCredential", "DomainLinkageCredential"],
            "issuer": did,
            "issuanceDate": _date(now),
            "expirationDate": _date(now + _YEAR),
            "credentialSubject": {"id": did, "origin": origin},
        }
        claims = {"iss": did, "sub": did, "nbf": now, "exp": now + _YEAR, "vc": credential}
        linked = [self.identity.sign(claims, typ=None)]
        return json.dumps({"@context": credential["@context"][1], "linked_dids": linked}).encode()

    def _add_status(self, claims: dict[str, Any]) -> None:
        index, self._issued = self._issued, self._issued + 1
        if self.dialect is Dialect.TOKEN:
            claims["status"] = {"status_list": {"idx": index, "uri": self.status_url}}
            return
        entry = {
            "id": f"{self.status_url}#{index}",
            "type": _ENTRY_TYPES[self.dialect],
            "statusListIndex": str(index),
            "statusListCredential": self.status_url,
        }
        if self.dialect is not Dialect.REVOCATION_LIST_2021:
            entry["statusPurpose"] = "revocation"
        claims["vc"]["credentialStatus"] = entry


def _date(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
