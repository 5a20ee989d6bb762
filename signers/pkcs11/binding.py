"""The seam to a PKCS#11 module: all that the rest of the package asks of a binding.

One production binding implements it (`signers.pkcs11.ctypes_binding`), and tests wrap it to inject faults.
Every call blocks for as long as the module does, releases the GIL meanwhile, and raises `CryptokiError` with
the number that the module returned. Handles are plain integers.
"""

import ctypes
import sys
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from signers.pkcs11 import constants as ck

Attribute: TypeAlias = tuple[int, bytes]
"""(CKA_ number, value in the module's own encoding: `ulong` and `boolean` make the common ones)."""

Template: TypeAlias = tuple[Attribute, ...]


class CryptokiError(Exception):
    """A C_ *function* returned the CKR_ number *code*."""

    def __init__(self, function: str, code: int) -> None:
        super().__init__(f"{function} returned {ck.return_value_name(code)}")
        self.function = function
        self.code = code


class ModuleLoadError(Exception):
    """The shared library cannot be loaded, or is no PKCS#11 module."""


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """CK_TOKEN_INFO, as far as it is used, and the slot that holds the token. Padding is removed.

    `max_sessions` and `max_rw_sessions` are how many one application may open, in all and to write; 0 where
    there is no limit or it is not told.
    """

    slot: int
    label: str
    manufacturer: str
    model: str
    serial: str
    flags: int
    max_sessions: int
    max_rw_sessions: int = 0


@dataclass(frozen=True, slots=True)
class MechanismCall:
    """CK_MECHANISM: its number, and its parameter in the module's own encoding."""

    mechanism: int
    parameter: bytes = b""


class Cryptoki(Protocol):
    """A loaded PKCS#11 module. Safe to call from several threads between `initialize` and `finalize`."""

    def initialize(self) -> None:
        """C_Initialize with CKF_OS_LOCKING_OK, so that the module may be entered by several threads."""
        ...

    def finalize(self) -> None:
        """C_Finalize. No other thread may be inside the module."""
        ...

    def tokens(self) -> list[TokenInfo]:
        """Every token that is present and initialized."""
        ...

    def mechanisms(self, slot: int) -> frozenset[int]:
        """C_GetMechanismList: the CKM_ numbers that the token offers."""
        ...

    def mechanism_flags(self, slot: int, mechanism: int) -> int:
        """C_GetMechanismInfo: the CKF_ bits that say what *mechanism* may be used for."""
        ...

    def open_session(self, slot: int, *, read_write: bool) -> int:
        """C_OpenSession."""
        ...

    def close_session(self, session: int) -> None:
        """C_CloseSession."""
        ...

    def session_state(self, session: int) -> int:
        """C_GetSessionInfo: the CKS_ number of the session's state."""
        ...

    def login(self, session: int, pin: bytes | None) -> None:
        """C_Login as CKU_USER. None leaves the PIN to the token's own keypad."""
        ...

    def find(self, session: int, template: Template, limit: int) -> list[int]:
        """At most *limit* objects that match *template*."""
        ...

    def attribute(self, session: int, handle: int, attribute: int) -> bytes | None:
        """One attribute's value, or None where the object has none or does not reveal it."""
        ...

    def sign(self, session: int, key: int, call: MechanismCall, data: bytes, size: int) -> bytes:
        """C_SignInit and C_Sign of *data*; the signature is at most *size* bytes."""
        ...

    def generate_key_pair(
        self, session: int, call: MechanismCall, public: Template, private: Template
    ) -> tuple[int, int]:
        """C_GenerateKeyPair: the handles of the public and the private key."""
        ...


def ulong(number: int) -> bytes:
    """CK_ULONG as the module stores it."""
    return number.to_bytes(ctypes.sizeof(ctypes.c_ulong), sys.byteorder)


def boolean(value: bool) -> bytes:  # noqa: FBT001  # CK_BBOOL is what the name says.
    """CK_BBOOL as the module stores it."""
    return b"\x01" if value else b"\x00"
