"""A thin PKCS#11 binding over ctypes, which releases the GIL around every call by itself.

docs/adr/0001-pkcs11-binding.md says why there is one, with figures. The module is always initialized with
CKF_OS_LOCKING_OK: a NULL argument would promise a single thread, and SoftHSM then switches its locks off.
"""

import ctypes
import threading
from ctypes import POINTER, byref, c_char_p, c_ulong, c_void_p
from functools import partial
from typing import Any

from signers.pkcs11 import constants as ck
from signers.pkcs11.binding import CryptokiError, MechanismCall, ModuleLoadError, Template, TokenInfo
from signers.pkcs11.structures import (
    UNAVAILABLE,
    AttributeStruct,
    FunctionList,
    InitializeArgs,
    Mechanism,
    MechanismInfo,
    SessionInfo,
    TokenInfoStruct,
)

_NULL = c_void_p(None)
_ULONG_P = POINTER(c_ulong)

_PROTOTYPES: dict[str, tuple[Any, ...]] = {
    "C_Initialize": (c_void_p,),
    "C_Finalize": (c_void_p,),
    "C_GetSlotList": (ctypes.c_ubyte, c_void_p, _ULONG_P),
    "C_GetTokenInfo": (c_ulong, POINTER(TokenInfoStruct)),
    "C_GetMechanismList": (c_ulong, c_void_p, _ULONG_P),
    "C_GetMechanismInfo": (c_ulong, c_ulong, POINTER(MechanismInfo)),
    "C_InitToken": (c_ulong, c_char_p, c_ulong, c_char_p),
    "C_InitPIN": (c_ulong, c_char_p, c_ulong),
    "C_OpenSession": (c_ulong, c_ulong, c_void_p, c_void_p, _ULONG_P),
    "C_CloseSession": (c_ulong,),
    "C_GetSessionInfo": (c_ulong, POINTER(SessionInfo)),
    "C_Login": (c_ulong, c_ulong, c_char_p, c_ulong),
    "C_Logout": (c_ulong,),
    "C_DestroyObject": (c_ulong, c_ulong),
    "C_GetAttributeValue": (c_ulong, c_ulong, POINTER(AttributeStruct), c_ulong),
    "C_FindObjectsInit": (c_ulong, c_void_p, c_ulong),
    "C_FindObjects": (c_ulong, c_void_p, c_ulong, _ULONG_P),
    "C_FindObjectsFinal": (c_ulong,),
    "C_SignInit": (c_ulong, POINTER(Mechanism), c_ulong),
    "C_Sign": (c_ulong, c_char_p, c_ulong, c_void_p, _ULONG_P),
    "C_GenerateKeyPair": (
        c_ulong,
        POINTER(Mechanism),
        c_void_p,
        c_ulong,
        c_void_p,
        c_ulong,
        _ULONG_P,
        _ULONG_P,
    ),
}


class CtypesCryptoki:
    """A module loaded from *path*: `signers.pkcs11.binding.Cryptoki`, and what provisioning needs besides.

    *one_call_at_a_time* is for modules that do not stand several threads whatever they promise. Raises
    `ModuleLoadError` where *path* is no PKCS#11 module.
    """

    def __init__(self, path: str, *, one_call_at_a_time: bool = False) -> None:
        try:
            library = ctypes.CDLL(path)
            get_function_list = library.C_GetFunctionList
        except (OSError, AttributeError) as error:
            raise ModuleLoadError(str(error)) from error
        # Held, so that the library outlives every function pointer taken from it.
        self._library = library
        functions = POINTER(FunctionList)()
        code = get_function_list(byref(functions))
        if code != ck.CKR_OK:
            raise ModuleLoadError(f"C_GetFunctionList returned {ck.return_value_name(code)}")
        self._functions: dict[str, Any] = {}
        lock = threading.Lock()
        for name, arguments in _PROTOTYPES.items():
            address = getattr(functions.contents, name)
            if not address:
                raise ModuleLoadError(f"{name} is missing from the function list")
            function = ctypes.CFUNCTYPE(c_ulong, *arguments)(address)
            self._functions[name] = partial(_locked, lock, function) if one_call_at_a_time else function
        # Looked up once: these two run for every signature.
        self._sign_init = self._functions["C_SignInit"]
        self._sign = self._functions["C_Sign"]
        self._prepared: dict[MechanismCall, Any] = {}

    def initialize(self) -> None:
        arguments = InitializeArgs(flags=ck.CKF_OS_LOCKING_OK)
        self._call("C_Initialize", byref(arguments))

    def finalize(self) -> None:
        self._call("C_Finalize", None)

    def slots(self, *, token_present: bool) -> list[int]:
        """C_GetSlotList. Asking for the count first also makes the module look for new tokens (§5.5)."""
        return self._list(partial(self._call, "C_GetSlotList", int(token_present)))

    def tokens(self) -> list[TokenInfo]:
        found = []
        for slot in self.slots(token_present=True):
            info = TokenInfoStruct()
            try:
                self._call("C_GetTokenInfo", slot, byref(info))
            except CryptokiError as error:
                # One broken slot does not hide the tokens in the others.
                if error.code in (ck.CKR_TOKEN_NOT_PRESENT, ck.CKR_TOKEN_NOT_RECOGNIZED):
                    continue
                raise
            if info.flags & ck.CKF_TOKEN_INITIALIZED:
                found.append(_token_info(slot, info))
        return found

    def mechanisms(self, slot: int) -> frozenset[int]:
        return frozenset(self._list(partial(self._call, "C_GetMechanismList", slot)))

    def mechanism_flags(self, slot: int, mechanism: int) -> int:
        info = MechanismInfo()
        self._call("C_GetMechanismInfo", slot, mechanism, byref(info))
        return int(info.flags)

    def open_session(self, slot: int, *, read_write: bool) -> int:
        session = c_ulong()
        flags = ck.CKF_SERIAL_SESSION | (ck.CKF_RW_SESSION if read_write else 0)
        self._call("C_OpenSession", slot, flags, None, None, byref(session))
        return session.value

    def close_session(self, session: int) -> None:
        self._call("C_CloseSession", session)

    def session_state(self, session: int) -> int:
        info = SessionInfo()
        self._call("C_GetSessionInfo", session, byref(info))
        return int(info.state)

    def login(self, session: int, pin: bytes | None) -> None:
        self._call("C_Login", session, ck.CKU_USER, pin, 0 if pin is None else len(pin))

    def find(self, session: int, template: Template, limit: int) -> list[int]:
        self._call("C_FindObjectsInit", session, _attributes(template), len(template))
        try:
            handles = (c_ulong * limit)()
            count = c_ulong()
            found: list[int] = []
            while len(found) < limit:
                self._call("C_FindObjects", session, handles, limit - len(found), byref(count))
                if not count.value:
                    break
                found.extend(handles[: count.value])
        finally:
            self._call("C_FindObjectsFinal", session)
        return found

    def attribute(self, session: int, handle: int, attribute: int) -> bytes | None:
        request = AttributeStruct(type=attribute)
        try:
            self._call("C_GetAttributeValue", session, handle, byref(request), 1)
            if request.length == UNAVAILABLE:
                return None
            buffer = ctypes.create_string_buffer(max(1, request.length))
            request.value = ctypes.addressof(buffer)
            self._call("C_GetAttributeValue", session, handle, byref(request), 1)
        except CryptokiError as error:
            if error.code in (ck.CKR_ATTRIBUTE_TYPE_INVALID, ck.CKR_ATTRIBUTE_SENSITIVE):
                return None
            raise
        return None if request.length == UNAVAILABLE else buffer.raw[: request.length]

    def sign(self, session: int, key: int, call: MechanismCall, data: bytes, size: int) -> bytes:
        mechanism = self._prepared.get(call)
        if mechanism is None:
            mechanism = self._prepared.setdefault(call, byref(_mechanism(call)))
        code = self._sign_init(session, mechanism, key)
        if code:
            raise CryptokiError("C_SignInit", code)
        buffer = ctypes.create_string_buffer(size)
        length = c_ulong(size)
        code = self._sign(session, data, len(data), buffer, byref(length))
        if code:
            raise CryptokiError("C_Sign", code)
        return buffer.raw[: length.value]

    def generate_key_pair(
        self, session: int, call: MechanismCall, public: Template, private: Template
    ) -> tuple[int, int]:
        public_handle, private_handle = c_ulong(), c_ulong()
        self._call(
            "C_GenerateKeyPair",
            session,
            byref(_mechanism(call)),
            _attributes(public),
            len(public),
            _attributes(private),
            len(private),
            byref(public_handle),
            byref(private_handle),
        )
        return public_handle.value, private_handle.value

    def destroy_object(self, session: int, handle: int) -> None:
        """C_DestroyObject."""
        self._call("C_DestroyObject", session, handle)

    def initialize_token(self, slot: int, label: str, *, so_pin: bytes, user_pin: bytes) -> None:
        """C_InitToken and C_InitPIN: **erases** the token in *slot*; for provisioning development tokens."""
        padded = label.encode().ljust(32)
        self._call("C_InitToken", slot, so_pin, len(so_pin), padded)
        session = self.open_session(slot, read_write=True)
        try:
            self._call("C_Login", session, ck.CKU_SO, so_pin, len(so_pin))
            self._call("C_InitPIN", session, user_pin, len(user_pin))
            self._call("C_Logout", session)
        finally:
            self.close_session(session)

    def _call(self, function: str, *arguments: Any) -> None:
        code = self._functions[function](*arguments)
        if code != ck.CKR_OK:
            raise CryptokiError(function, code)

    def _list(self, call: Any) -> list[int]:
        count = c_ulong()
        call(None, byref(count))
        if not count.value:
            return []
        values = (c_ulong * count.value)()
        call(values, byref(count))
        return list(values[: count.value])


def _locked(lock: threading.Lock, function: Any, *arguments: Any) -> int:
    with lock:
        return int(function(*arguments))


def _token_info(slot: int, info: TokenInfoStruct) -> TokenInfo:
    def text(field: bytes) -> str:
        return field.decode("utf-8", "replace").rstrip(" \0")

    def limit(count: int) -> int:
        return 0 if count == UNAVAILABLE else count

    return TokenInfo(
        slot=slot,
        label=text(info.label),
        manufacturer=text(info.manufacturer),
        model=text(info.model),
        serial=text(info.serial),
        flags=info.flags,
        max_sessions=limit(info.max_session_count),
        max_rw_sessions=limit(info.max_rw_session_count),
    )


def _mechanism(call: MechanismCall) -> Mechanism:
    if not call.parameter:
        return Mechanism(mechanism=call.mechanism)
    buffer = ctypes.create_string_buffer(call.parameter, len(call.parameter))
    mechanism = Mechanism(call.mechanism, ctypes.addressof(buffer), len(call.parameter))
    mechanism.keep_alive = buffer  # The structure holds an address only, so it must own the memory as well.
    return mechanism


def _attributes(template: Template) -> Any:
    array = (AttributeStruct * len(template))()
    buffers = [ctypes.create_string_buffer(value, max(1, len(value))) for _, value in template]
    for entry, (type_, value), buffer in zip(array, template, buffers, strict=True):
        entry.type, entry.value, entry.length = type_, ctypes.addressof(buffer), len(value)
    array.keep_alive = buffers  # type: ignore[attr-defined]  # As above: an address keeps nothing alive.
    return array
