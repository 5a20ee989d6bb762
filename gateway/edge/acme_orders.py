"""Orders and authorizations over ACME (RFC 8555 §7.4, §7.5)."""

from starlette.responses import Response

from gateway.edge.acme_documents import authorization_document, order_document
from gateway.edge.acme_door import AcmeDoor
from gateway.edge.acme_payloads import parse_csr, parse_deactivation, parse_order_wish
from gateway.edge.exchange import EdgeRequest
from gateway.enrollment.model import Order, OrderStatus
from gateway.errors import Reason, StateError

_UNDER_WAY = "1"
"""Seconds after which a certificate that is being made should be asked for again."""


class NewOrderEndpoint:
    """RFC 8555 §7.4."""

    def __init__(self, door: AcmeDoor) -> None:
        self._door = door

    async def __call__(self, request: EdgeRequest) -> Response:
        """A pending order."""
        door = self._door
        signed = await door.by_account(request)
        order = await door.enrollment.orders.create(signed.account, parse_order_wish(signed.payload))
        return order_reply(door, order, 201)


class OrderEndpoint:
    """RFC 8555 §7.4: the order as it is. A certificate that was left half made is finished first."""

    def __init__(self, door: AcmeDoor) -> None:
        self._door = door

    async def __call__(self, request: EdgeRequest) -> Response:
        """POST-as-GET."""
        signed = await self._door.by_account(request)
        signed.require_read()
        order = await self._door.enrollment.issuing.current(signed.account, request.parameters["order"])
        return order_reply(self._door, order)


class FinalizeEndpoint:
    """RFC 8555 §7.4: the certificate is there with the reply, as Wire's clients demand."""

    def __init__(self, door: AcmeDoor) -> None:
        self._door = door

    async def __call__(self, request: EdgeRequest) -> Response:
        """The order, valid; or processing, where another request is just making the certificate."""
        signed = await self._door.by_account(request)
        enrollment, order_id = self._door.enrollment, request.parameters["order"]
        try:
            order = await enrollment.issuing.finalize(signed.account, order_id, parse_csr(signed.payload))
        except StateError as error:
            if error.reason is not Reason.ORDER_NOT_READY or error.metadata.get("status") != "processing":
                raise
            order = await enrollment.orders.get(signed.account, order_id)
        return order_reply(self._door, order)


class AuthorizationEndpoint:
    """RFC 8555 §7.5, §7.5.2: read, or given up."""

    def __init__(self, door: AcmeDoor) -> None:
        self._door = door

    async def __call__(self, request: EdgeRequest) -> Response:
        """The authorization with its challenges."""
        door, orders = self._door, self._door.enrollment.orders
        signed = await door.by_account(request)
        authorization_id = request.parameters["authorization"]
        if parse_deactivation(signed.payload):
            order, authorization = await orders.deactivate_authorization(signed.account, authorization_id)
        else:
            order, authorization = await orders.by_authorization(signed.account, authorization_id)
        return door.reply(
            authorization_document(door, order, authorization), location=door.url("authz", authorization_id)
        )


def order_reply(door: AcmeDoor, order: Order, status: int = 200) -> Response:
    """The response with *order*."""
    response = door.reply(order_document(door, order), status, location=door.url("order", order.order_id))
    if order.status is OrderStatus.PROCESSING:
        response.headers["retry-after"] = _UNDER_WAY
    return response
