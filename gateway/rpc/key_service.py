"""countersign.v1.KeyService: convert, call, convert back."""

from typing import Final, TypeAlias, TypeVar

import grpc
from countersign.v1 import key_service_pb2, key_service_pb2_grpc

from gateway.errors import Reason, RequestError
from gateway.keys.management import KeyManager
from gateway.keys.model import KeyPurpose
from gateway.rpc.current import current_call
from gateway.rpc.key_conversion import (
    ALGORITHMS,
    OUTCOMES,
    PURPOSES,
    STATES,
    key_message,
    record_message,
)
from gateway.rpc.resources import (
    after_of,
    idempotency_key,
    page_size_of,
    page_token_of,
    resource_id,
    revision_of,
)
from signers import Algorithm

_Context: TypeAlias = grpc.aio.ServicerContext
_COLLECTION: Final = "keys"
_MAX_REASON: Final = 200
_K = TypeVar("_K")
_T = TypeVar("_T")


class KeyService(key_service_pb2_grpc.KeyServiceServicer):
    """Shows and changes the gateway's keys, for administrators."""

    def __init__(self, manager: KeyManager) -> None:
        self._manager = manager

    async def ListKeys(
        self, request: key_service_pb2.ListKeysRequest, context: _Context
    ) -> key_service_pb2.ListKeysResponse:
        """A page of keys, by key id."""
        size = page_size_of(request.page_size)
        after = after_of(request.page_token) or ""
        purpose = _known(PURPOSES, request.purpose, "purpose") if request.HasField("purpose") else None
        state = _known(STATES, request.state, "state") if request.HasField("state") else None
        statuses = sorted(await self._manager.list(), key=lambda status: status.record.key_id)
        matching = [
            status
            for status in statuses
            if status.record.key_id > after
            and purpose in (None, status.record.purpose)
            and state in (None, status.record.state)
        ]
        page = matching[:size]
        more = page[-1].record.key_id if len(matching) > size else None
        return key_service_pb2.ListKeysResponse(
            keys=[key_message(status) for status in page], next_page_token=page_token_of(more)
        )

    async def GetKey(
        self, request: key_service_pb2.GetKeyRequest, context: _Context
    ) -> key_service_pb2.GetKeyResponse:
        """One key."""
        status = await self._manager.get(resource_id(request.name, _COLLECTION))
        return key_service_pb2.GetKeyResponse(key=key_message(status))

    async def CreateKey(
        self, request: key_service_pb2.CreateKeyRequest, context: _Context
    ) -> key_service_pb2.CreateKeyResponse:
        """Generates or adopts a key, and publishes it."""
        purpose, algorithm = _purpose_and_algorithm(request)
        source = request.WhichOneof("source")
        if source is None:
            raise RequestError(Reason.MISSING_FIELD, "Say where the key is, or is to be.", field="source")
        record = await self._manager.create(
            purpose,
            algorithm,
            request.create_uri if source == "create_uri" else request.existing_uri,
            existing=source == "existing_uri",
            key=idempotency_key(
                current_call().principal.name,
                "CreateKey",
                _required(request.request_id, "request_id"),
                request,
            ),
        )
        return key_service_pb2.CreateKeyResponse(key=record_message(record))

    async def RotateKey(
        self, request: key_service_pb2.RotateKeyRequest, context: _Context
    ) -> key_service_pb2.RotateKeyResponse:
        """Lets the prepared key sign and the active one retire."""
        purpose, algorithm = _purpose_and_algorithm(request)
        if request.etag and not request.name:
            raise RequestError(Reason.MISSING_FIELD, "An etag goes with the key's name.", field="name")
        rotated = await self._manager.rotate(
            purpose,
            algorithm,
            key_id=resource_id(request.name, _COLLECTION) if request.name else None,
            expected_revision=revision_of(request.etag),
            key=idempotency_key(
                current_call().principal.name,
                "RotateKey",
                _required(request.request_id, "request_id"),
                request,
            ),
        )
        return key_service_pb2.RotateKeyResponse(
            active_key=record_message(rotated.active),
            retiring_key=None if rotated.retiring is None else record_message(rotated.retiring),
        )

    async def DisableKey(
        self, request: key_service_pb2.DisableKeyRequest, context: _Context
    ) -> key_service_pb2.DisableKeyResponse:
        """Withdraws a key at once."""
        reason = _required(request.reason, "reason")
        if len(reason) > _MAX_REASON or not reason.isprintable():
            raise RequestError(
                Reason.INVALID_FIELD, f"At most {_MAX_REASON} printable characters.", field="reason"
            )
        record = await self._manager.disable(resource_id(request.name, _COLLECTION), reason=reason)
        return key_service_pb2.DisableKeyResponse(key=record_message(record))

    async def CheckKey(
        self, request: key_service_pb2.CheckKeyRequest, context: _Context
    ) -> key_service_pb2.CheckKeyResponse:
        """Signs a probe and verifies it."""
        check = await self._manager.check(resource_id(request.name, _COLLECTION))
        response = key_service_pb2.CheckKeyResponse(
            name=request.name, outcome=OUTCOMES[check.fault], detail=check.fault or ""
        )
        response.duration.FromNanoseconds(round(check.seconds * 1e9))
        return response


def _purpose_and_algorithm(
    request: key_service_pb2.CreateKeyRequest | key_service_pb2.RotateKeyRequest,
) -> tuple[KeyPurpose, Algorithm]:
    return (
        _known(PURPOSES, request.purpose, "purpose"),
        _known(ALGORITHMS, request.algorithm, "algorithm"),
    )


def _known(table: dict[_K, _T], value: _K, field: str) -> _T:
    try:
        return table[value]
    except KeyError as error:
        raise RequestError(Reason.INVALID_FIELD, "It is unknown or unspecified.", field=field) from error


def _required(value: str, field: str) -> str:
    if not value:
        raise RequestError(Reason.MISSING_FIELD, "It is required.", field=field)
    return value
