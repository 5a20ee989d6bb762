"""Serial numbers of certificates (RFC 5280 §4.1.2.2; CA/Browser Forum Baseline Requirements §7.1)."""

import secrets

from gateway.pki.issuance_errors import IssuingError, IssuingFault

RANDOM_BITS = 158
_LIMIT = 1 << 159  # Twenty octets, of which the first bit is the sign.


def new_serial() -> int:
    """A positive serial below 2^159 with 158 random bits, always of twenty octets.

    That it is unique is decided by the database that records it.
    """
    return 1 << RANDOM_BITS | secrets.randbits(RANDOM_BITS)


def require_serial(serial: int) -> None:
    """*serial* is positive and fits in twenty octets. Raises `IssuingError` with `INVALID_SERIAL`."""
    if not 0 < serial < _LIMIT:
        raise IssuingError(IssuingFault.INVALID_SERIAL, "a serial number is positive and below 2^159")
