"""countersign.v1.ClientService: convert, call, convert back."""

from typing import Final, TypeAlias

import grpc
from countersign.v1 import client_service_pb2, client_service_pb2_grpc

from gateway.errors import Reason, RequestError
from gateway.rpc.client_conversion import changed_client, client_message, new_client
from gateway.rpc.current import current_call
from gateway.rpc.resources import (
    after_of,
    idempotency_key,
    page_size_of,
    page_token_of,
    resource_id,
    revision_of,
)
from gateway.tokens.registration import ClientRegistrar

_Context: TypeAlias = grpc.aio.ServicerContext
_COLLECTION: Final = "clients"


class ClientService(client_service_pb2_grpc.ClientServiceServicer):
    """Registers OAuth clients, for administrators."""

    def __init__(self, registrar: ClientRegistrar) -> None:
        self._registrar = registrar

    async def CreateClient(
        self, request: client_service_pb2.CreateClientRequest, context: _Context
    ) -> client_service_pb2.CreateClientResponse:
        """Registers a client; a generated secret is in this response and nowhere else."""
        if not request.HasField("client"):
            raise RequestError(Reason.MISSING_FIELD, "Describe the client.", field="client")
        key = idempotency_key(current_call().principal.name, "CreateClient", request.request_id, request)
        registered = await self._registrar.create(new_client(request.client_id, request.client), key)
        return client_service_pb2.CreateClientResponse(
            client=client_message(registered.client), client_secret=registered.secret or ""
        )

    async def GetClient(
        self, request: client_service_pb2.GetClientRequest, context: _Context
    ) -> client_service_pb2.GetClientResponse:
        """One client."""
        client = await self._registrar.get(resource_id(request.name, _COLLECTION))
        return client_service_pb2.GetClientResponse(client=client_message(client))

    async def ListClients(
        self, request: client_service_pb2.ListClientsRequest, context: _Context
    ) -> client_service_pb2.ListClientsResponse:
        """A page of clients, by id."""
        page = await self._registrar.list(
            after=after_of(request.page_token), limit=page_size_of(request.page_size)
        )
        return client_service_pb2.ListClientsResponse(
            clients=[client_message(client) for client in page.clients],
            next_page_token=page_token_of(page.next_after),
        )

    async def UpdateClient(
        self, request: client_service_pb2.UpdateClientRequest, context: _Context
    ) -> client_service_pb2.UpdateClientResponse:
        """Changes the masked fields, all or none."""
        client = await self._registrar.update(
            resource_id(request.client.name, _COLLECTION, field="client.name"),
            changed_client(request.client, list(request.update_mask.paths)),
            expected_revision=revision_of(request.client.etag, field="client.etag"),
        )
        return client_service_pb2.UpdateClientResponse(client=client_message(client))

    async def DeleteClient(
        self, request: client_service_pb2.DeleteClientRequest, context: _Context
    ) -> client_service_pb2.DeleteClientResponse:
        """Deletes a client for good."""
        await self._registrar.delete(
            resource_id(request.name, _COLLECTION), expected_revision=revision_of(request.etag)
        )
        return client_service_pb2.DeleteClientResponse()

    async def RotateClientSecret(
        self, request: client_service_pb2.RotateClientSecretRequest, context: _Context
    ) -> client_service_pb2.RotateClientSecretResponse:
        """Generates a new secret; it is in this response and nowhere else."""
        registered = await self._registrar.rotate_secret(
            resource_id(request.name, _COLLECTION), expected_revision=revision_of(request.etag)
        )
        return client_service_pb2.RotateClientSecretResponse(
            client=client_message(registered.client), client_secret=registered.secret or ""
        )
