"""The RPCs of KeyService."""

from countersign._operations.operation import Operation, Page
from countersign._wire import enum_from_wire, enum_to_wire, required_time_from_wire, time_from_wire
from countersign.keys import (
    Key,
    KeyCheck,
    KeyCheckOutcome,
    KeyPurpose,
    KeyRotation,
    KeyState,
    SignatureAlgorithm,
)
from countersign.v1 import key_service_pb2 as pb

_COLLECTION = "keys/"


def list_keys(
    purpose: KeyPurpose | None, state: KeyState | None, page_size: int, page_token: str
) -> Operation[Page[Key]]:
    def request() -> pb.ListKeysRequest:
        return pb.ListKeysRequest(
            page_size=page_size,
            page_token=page_token,
            purpose=None if purpose is None else enum_to_wire(pb.KeyPurpose, purpose),
            state=None if state is None else enum_to_wire(pb.KeyState, state),
        )

    def result(response: pb.ListKeysResponse) -> Page[Key]:
        return Page(tuple(_key(key) for key in response.keys), response.next_page_token)

    return Operation("keys", "ListKeys", request, result)


def get_key(key_id: str) -> Operation[Key]:
    return Operation(
        "keys",
        "GetKey",
        lambda: pb.GetKeyRequest(name=_COLLECTION + key_id),
        lambda response: _key(response.key),
    )


def create_key(
    purpose: KeyPurpose,
    algorithm: SignatureAlgorithm,
    create_uri: str | None,
    existing_uri: str | None,
    request_id: str,
) -> Operation[Key]:
    if (create_uri is None) == (existing_uri is None):
        raise ValueError("Give exactly one of create_uri and existing_uri.")

    def request() -> pb.CreateKeyRequest:
        return pb.CreateKeyRequest(
            request_id=request_id,
            purpose=enum_to_wire(pb.KeyPurpose, purpose),
            algorithm=enum_to_wire(pb.SignatureAlgorithm, algorithm),
            create_uri=create_uri,
            existing_uri=existing_uri,
        )

    return Operation("keys", "CreateKey", request, lambda response: _key(response.key))


def rotate_key(
    purpose: KeyPurpose,
    algorithm: SignatureAlgorithm,
    key_id: str | None,
    etag: str | None,
    request_id: str,
) -> Operation[KeyRotation]:
    def request() -> pb.RotateKeyRequest:
        return pb.RotateKeyRequest(
            request_id=request_id,
            purpose=enum_to_wire(pb.KeyPurpose, purpose),
            algorithm=enum_to_wire(pb.SignatureAlgorithm, algorithm),
            name=None if key_id is None else _COLLECTION + key_id,
            etag=etag,
        )

    def result(response: pb.RotateKeyResponse) -> KeyRotation:
        retiring = _key(response.retiring_key) if response.HasField("retiring_key") else None
        return KeyRotation(_key(response.active_key), retiring)

    return Operation("keys", "RotateKey", request, result)


def disable_key(key_id: str, reason: str) -> Operation[Key]:
    return Operation(
        "keys",
        "DisableKey",
        lambda: pb.DisableKeyRequest(name=_COLLECTION + key_id, reason=reason),
        lambda response: _key(response.key),
    )


def check_key(key_id: str) -> Operation[KeyCheck]:
    def result(response: pb.CheckKeyResponse) -> KeyCheck:
        return KeyCheck(
            key_id=response.name.removeprefix(_COLLECTION),
            outcome=enum_from_wire(KeyCheckOutcome, pb.KeyCheckOutcome, response.outcome),
            duration=response.duration.ToTimedelta(),
            detail=response.detail,
        )

    return Operation("keys", "CheckKey", lambda: pb.CheckKeyRequest(name=_COLLECTION + key_id), result)


def _key(key: pb.Key) -> Key:
    return Key(
        key_id=key.name.removeprefix(_COLLECTION),
        purpose=enum_from_wire(KeyPurpose, pb.KeyPurpose, key.purpose),
        algorithm=enum_from_wire(SignatureAlgorithm, pb.SignatureAlgorithm, key.algorithm),
        state=enum_from_wire(KeyState, pb.KeyState, key.state),
        uri=key.uri,
        backend=key.backend,
        public_key_der=key.public_key_der,
        public_key_sha256=key.public_key_sha256,
        create_time=required_time_from_wire(key.create_time),
        activate_time=time_from_wire(key, "activate_time"),
        retire_time=time_from_wire(key, "retire_time"),
        disable_time=time_from_wire(key, "disable_time"),
        disable_reason=key.disable_reason,
        last_error=key.last_error,
        etag=key.etag,
        certificates_der=tuple(key.certificates_der),
        issuer=key.issuer.removeprefix(_COLLECTION) or None,
        sign_until_time=time_from_wire(key, "sign_until_time"),
    )
