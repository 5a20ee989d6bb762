"""The C structures of PKCS#11 that the binding passes, and the order of the function list (v2.40 §3)."""

import ctypes
from ctypes import Structure, c_char, c_ubyte, c_ulong, c_void_p
from typing import ClassVar

# SOURCE: PKCS#11 v2.40 pkcs11f.h, the order of CK_FUNCTION_LIST's members.
FUNCTION_LIST = (
    "C_Initialize",
    "C_Finalize",
    "C_GetInfo",
    "C_GetFunctionList",
    "C_GetSlotList",
    "C_GetSlotInfo",
    "C_GetTokenInfo",
    "C_GetMechanismList",
    "C_GetMechanismInfo",
    "C_InitToken",
    "C_InitPIN",
    "C_SetPIN",
    "C_OpenSession",
    "C_CloseSession",
    "C_CloseAllSessions",
    "C_GetSessionInfo",
    "C_GetOperationState",
    "C_SetOperationState",
    "C_Login",
    "C_Logout",
    "C_CreateObject",
    "C_CopyObject",
    "C_DestroyObject",
    "C_GetObjectSize",
    "C_GetAttributeValue",
    "C_SetAttributeValue",
    "C_FindObjectsInit",
    "C_FindObjects",
    "C_FindObjectsFinal",
    "C_EncryptInit",
    "C_Encrypt",
    "C_EncryptUpdate",
    "C_EncryptFinal",
    "C_DecryptInit",
    "C_Decrypt",
    "C_DecryptUpdate",
    "C_DecryptFinal",
    "C_DigestInit",
    "C_Digest",
    "C_DigestUpdate",
    "C_DigestKey",
    "C_DigestFinal",
    "C_SignInit",
    "C_Sign",
    "C_SignUpdate",
    "C_SignFinal",
    "C_SignRecoverInit",
    "C_SignRecover",
    "C_VerifyInit",
    "C_Verify",
    "C_VerifyUpdate",
    "C_VerifyFinal",
    "C_VerifyRecoverInit",
    "C_VerifyRecover",
    "C_DigestEncryptUpdate",
    "C_DecryptDigestUpdate",
    "C_SignEncryptUpdate",
    "C_DecryptVerifyUpdate",
    "C_GenerateKey",
    "C_GenerateKeyPair",
    "C_WrapKey",
    "C_UnwrapKey",
    "C_DeriveKey",
    "C_SeedRandom",
    "C_GenerateRandom",
    "C_GetFunctionStatus",
    "C_CancelFunction",
    "C_WaitForSlotEvent",
)


class Version(Structure):
    _fields_: ClassVar = [("major", c_ubyte), ("minor", c_ubyte)]


class FunctionList(Structure):
    _fields_: ClassVar = [("version", Version), *((name, c_void_p) for name in FUNCTION_LIST)]


class InitializeArgs(Structure):
    _fields_: ClassVar = [
        ("create_mutex", c_void_p),
        ("destroy_mutex", c_void_p),
        ("lock_mutex", c_void_p),
        ("unlock_mutex", c_void_p),
        ("flags", c_ulong),
        ("reserved", c_void_p),
    ]


class TokenInfoStruct(Structure):
    _fields_: ClassVar = [
        ("label", c_char * 32),
        ("manufacturer", c_char * 32),
        ("model", c_char * 16),
        ("serial", c_char * 16),
        ("flags", c_ulong),
        ("max_session_count", c_ulong),
        ("session_count", c_ulong),
        ("max_rw_session_count", c_ulong),
        ("rw_session_count", c_ulong),
        ("max_pin_length", c_ulong),
        ("min_pin_length", c_ulong),
        ("total_public_memory", c_ulong),
        ("free_public_memory", c_ulong),
        ("total_private_memory", c_ulong),
        ("free_private_memory", c_ulong),
        ("hardware_version", Version),
        ("firmware_version", Version),
        ("utc_time", c_char * 16),
    ]


class SessionInfo(Structure):
    _fields_: ClassVar = [
        ("slot", c_ulong),
        ("state", c_ulong),
        ("flags", c_ulong),
        ("device_error", c_ulong),
    ]


class MechanismInfo(Structure):
    _fields_: ClassVar = [("min_key_size", c_ulong), ("max_key_size", c_ulong), ("flags", c_ulong)]


class Mechanism(Structure):
    _fields_: ClassVar = [("mechanism", c_ulong), ("parameter", c_void_p), ("parameter_length", c_ulong)]


class AttributeStruct(Structure):
    _fields_: ClassVar = [("type", c_ulong), ("value", c_void_p), ("length", c_ulong)]


class PssParameters(Structure):
    """CK_RSA_PKCS_PSS_PARAMS."""

    _fields_: ClassVar = [("hash_mechanism", c_ulong), ("mask", c_ulong), ("salt_length", c_ulong)]


UNAVAILABLE = ctypes.c_ulong(-1).value
"""CK_UNAVAILABLE_INFORMATION on this platform."""
