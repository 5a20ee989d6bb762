"""What the package offers: every RPC, the same in both clients."""

import inspect

import countersign
import pytest
from countersign import GatewayClient, SyncGatewayClient
from countersign._audit_aio import AsyncAudit
from countersign._audit_blocking import BlockingAudit
from countersign._enrollment_aio import AsyncEnrollment
from countersign._enrollment_blocking import BlockingEnrollment
from countersign._presentations_aio import AsyncPresentations
from countersign._presentations_blocking import BlockingPresentations

from tests.clients.gateway_double import SERVICES


def rpcs() -> list[str]:
    return [name for service in SERVICES for name in vars(service) if name[0].isupper()]


def snake_case(name: str) -> str:
    return "".join(f"_{each.lower()}" if each.isupper() else each for each in name).lstrip("_")


@pytest.mark.parametrize("rpc", rpcs())
def test_every_rpc_has_a_method(rpc):
    """Each RPC of the API is a method of both clients."""
    assert callable(getattr(GatewayClient, snake_case(rpc)))
    assert callable(getattr(SyncGatewayClient, snake_case(rpc)))


def public(kind: type) -> dict[str, object]:
    return {name: each for name, each in vars(kind).items() if not name.startswith("_")}


def test_both_clients_are_the_same():
    """Methods, parameters, defaults and documentation differ only in being awaited."""
    asynchronous, blocking = public(GatewayClient), public(SyncGatewayClient)
    assert list(asynchronous) == list(blocking)
    for name, method in asynchronous.items():
        twin = blocking[name]
        assert inspect.getdoc(method) == inspect.getdoc(twin), name
        assert inspect.signature(method).parameters == inspect.signature(twin).parameters, name


def test_everything_offered_exists():
    """`__all__` names what is there, in order and once."""
    assert sorted(set(countersign.__all__)) == countersign.__all__
    assert all(hasattr(countersign, name) for name in countersign.__all__)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (AsyncAudit, BlockingAudit),
        (AsyncEnrollment, BlockingEnrollment),
        (AsyncPresentations, BlockingPresentations),
    ],
    ids=["audit", "enrollment", "presentations"],
)
def test_both_clients_have_the_same_parts(one, other):
    """The methods of a service take the same arguments, and say the same of them."""
    asynchronous, blocking = public(one), public(other)
    assert list(asynchronous) == list(blocking)
    for name, method in asynchronous.items():
        twin = blocking[name]
        assert inspect.getdoc(method) == inspect.getdoc(twin), name
        taken, twins = inspect.signature(method).parameters, inspect.signature(twin).parameters
        assert [(each.name, each.default) for each in taken.values()] == [
            (each.name, each.default) for each in twins.values()
        ], name
