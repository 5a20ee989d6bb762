"""Our own status lists: the bits, and the claims that a signer signs."""

from collections.abc import Iterable
from typing import Any, Final

from gateway.presentations.status.bits import SIZES, BitOrder, write
from gateway.presentations.status.coding import encode_bitstring, encode_token_list
from gateway.presentations.status.entry import Dialect
from gateway.presentations.status.policy import MINIMUM_ENTRIES

_OCTET: Final = 8
_CONTEXT: Final = "https://www.w3.org/2018/credentials/v1"


class StatusBits:
    """A list under construction: *entries* values of *size* bits (1, 2, 4 or 8), all 0.

    Raises `ValueError` for another size, or for a W3C list that is shorter than `MINIMUM_ENTRIES`.
    """

    def __init__(self, dialect: Dialect, *, entries: int = MINIMUM_ENTRIES, size: int = 1) -> None:
        if size not in SIZES or (size > 1 and dialect not in (Dialect.TOKEN, Dialect.BITSTRING)):
            raise ValueError("the size is not one of this kind of list")
        if entries < (1 if dialect is Dialect.TOKEN else MINIMUM_ENTRIES):
            raise ValueError("the list is too short")
        self.dialect = dialect
        self.size = size
        self._packed = bytearray(-(-entries * size // _OCTET))

    def set(self, index: int, value: int = 1) -> None:
        """Set one entry. Raises `IndexError` outside of the list, `ValueError` for too large a value."""
        first = self.dialect is Dialect.TOKEN
        order = BitOrder.LEAST_SIGNIFICANT_FIRST if first else BitOrder.MOST_SIGNIFICANT_FIRST
        write(self._packed, index, value, self.size, order)

    def encoded(self) -> str:
        """The text form: ``lst`` of a token, ``encodedList`` of a credential."""
        if self.dialect is Dialect.TOKEN:
            return encode_token_list(self._packed)
        return encode_bitstring(self._packed, multibase=self.dialect is Dialect.BITSTRING)


def token_claims(
    bits: StatusBits, *, uri: str, issuer: str, issued_at: int, expires_at: int, ttl: int
) -> dict[str, Any]:
    """The claims of a Status List Token (Token Status List §5.1); its ``typ`` is ``statuslist+jwt``.

    Times are in seconds since the epoch, *ttl* in seconds.
    """
    return {
        "iss": issuer,
        "sub": uri,
        "iat": issued_at,
        "exp": expires_at,
        "ttl": ttl,
        "status_list": {"bits": bits.size, "lst": bits.encoded()},
    }


def credential_claims(
    bits: StatusBits, *, uri: str, issuer: str, purposes: Iterable[str], issued_at: int, expires_at: int
) -> dict[str, Any]:
    """The claims of a list credential as JWT (VCDM 1.1 §6.3.1). Times are in seconds since the epoch.

    A list of Status List 2021 0.0.1 has one purpose, ``revocation`` or ``suspension``: its type says it.
    Raises `ValueError` for another one there, and for no purpose.
    """
    names = list(purposes)
    subject: dict[str, Any] = {"id": f"{uri}#list", "encodedList": bits.encoded()}
    credential_type = "StatusList2021Credential"
    if not names:
        raise ValueError("a list has a purpose")
    if bits.dialect is Dialect.REVOCATION_LIST_2021:
        kinds = {"revocation": "RevocationList2021", "suspension": "SuspensionList2021"}
        if len(names) > 1 or names[0] not in kinds:
            raise ValueError("a list of this kind is for revocation or for suspension")
        subject["type"] = kinds[names[0]]
    else:
        bitstring = bits.dialect is Dialect.BITSTRING
        credential_type = "BitstringStatusListCredential" if bitstring else credential_type
        subject["type"] = "BitstringStatusList" if bitstring else "StatusList2021"
        subject["statusPurpose"] = names[0] if len(names) == 1 else names
    return {
        "iss": issuer,
        "jti": uri,
        "sub": subject["id"],
        "iat": issued_at,
        "nbf": issued_at,
        "exp": expires_at,
        "vc": {
            "@context": [_CONTEXT],
            "type": ["VerifiableCredential", credential_type],
            "credentialSubject": subject,
        },
    }
