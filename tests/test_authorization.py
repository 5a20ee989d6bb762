"""What each method asks of its caller: one table, complete, and closed for whatever it does not list."""

from pathlib import Path

import pytest
from countersign.v1 import (
    audit_service_pb2,
    authorization_service_pb2,
    client_service_pb2,
    enrollment_service_pb2,
    introspection_service_pb2,
    key_service_pb2,
    presentation_service_pb2,
    token_service_pb2,
)
from grpc_channelz.v1 import channelz_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from gateway.authorization import POLICIES, authorize
from gateway.errors import AuthenticationError, AuthorizationError, Reason
from gateway.principal import ANONYMOUS, Principal, Role

FILES = [
    audit_service_pb2,
    authorization_service_pb2,
    client_service_pb2,
    enrollment_service_pb2,
    introspection_service_pb2,
    key_service_pb2,
    presentation_service_pb2,
    token_service_pb2,
    channelz_pb2,
    health_pb2,
    reflection_pb2,
]


def methods_of(module) -> list[str]:
    return [
        f"/{service.full_name}/{method.name}"
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    ]


SERVED = sorted(method for module in FILES for method in methods_of(module))
OPEN = {method for method, policy in POLICIES.items() if policy.public or policy.proves_itself}
EVERYONE = {
    "/countersign.v1.TokenService/MintToken",
    "/countersign.v1.TokenService/BatchMintTokens",
    "/countersign.v1.TokenService/RevokeToken",
    "/countersign.v1.TokenService/GetServerMetadata",
    "/countersign.v1.TokenService/GetJwks",
    "/countersign.v1.AuthorizationService/PushAuthorizationRequest",
    "/countersign.v1.IntrospectionService/IntrospectToken",
    "/countersign.v1.IntrospectionService/BatchIntrospectTokens",
}


@pytest.mark.parametrize("method", SERVED)
def test_every_method_has_a_row(method):
    """A method that the descriptors know is in the table."""
    assert method in POLICIES


def test_every_service_of_the_api_is_looked_at():
    """No file of the API that has services is left out of these tests."""
    files = Path(token_service_pb2.__file__).parent.glob("*_service_pb2_grpc.py")
    services = {file.name.removesuffix("_pb2_grpc.py") for file in files}
    looked_at = {module.__name__.rpartition(".")[2].removesuffix("_pb2") for module in FILES}
    assert services <= looked_at


def test_no_row_is_stale():
    """A row of the API's own services belongs to a method that exists."""
    ours = {method for method in POLICIES if method.startswith("/countersign.")}
    assert ours <= set(SERVED)


def test_each_row_says_one_thing():
    """A method is public, proves its client itself, or names roles; never two of these, never none."""
    for method, policy in POLICIES.items():
        assert [policy.public, policy.proves_itself, bool(policy.roles)].count(True) == 1, method


def test_what_is_open_is_listed_here():
    """No method of the API's own opens without being named in this test too."""
    assert {method for method in OPEN if method.startswith("/countersign.")} == EVERYONE


def caller(*roles: Role) -> Principal:
    return Principal("somebody", frozenset(roles))


@pytest.mark.parametrize("method", sorted(OPEN))
def test_open_to_everyone(method):
    """What is public or proves itself opens to nobody in particular, and to each role."""
    for principal in (ANONYMOUS, caller(), *(caller(role) for role in Role)):
        authorize(method, principal)


@pytest.mark.parametrize("method", sorted(set(POLICIES) - OPEN))
def test_closed_to_nobody(method):
    """Without a caller, a method that asks for a role says that it needs one."""
    with pytest.raises(AuthenticationError) as caught:
        authorize(method, ANONYMOUS)
    assert caught.value.reason is Reason.CALLER_UNAUTHENTICATED


@pytest.mark.parametrize("method", sorted(set(POLICIES) - OPEN))
@pytest.mark.parametrize("role", [None, *Role])
def test_role_by_role(method, role):
    """Exactly the roles of its row open a method; any other is refused."""
    principal = caller() if role is None else caller(role)
    if role in POLICIES[method].roles:
        authorize(method, principal)
    else:
        with pytest.raises(AuthorizationError) as caught:
            authorize(method, principal)
        assert (caught.value.reason, caught.value.cause) == (Reason.PERMISSION_DENIED, "no_role")
        assert caught.value.metadata == {"caller": "somebody"}


@pytest.mark.parametrize("method", ["", "/", "/countersign.v1.TokenService/", "/x/Y", SERVED[0].lower()])
def test_not_listed(method):
    """What is not listed is refused to everyone, an administrator with every role included."""
    with pytest.raises(AuthorizationError) as caught:
        authorize(method, caller(*Role))
    assert (caught.value.reason, caught.value.cause) == (Reason.PERMISSION_DENIED, "method_not_listed")
    with pytest.raises(AuthenticationError):
        authorize(method, ANONYMOUS)


def test_all_roles_together():
    """One of several roles is enough."""
    authorize("/countersign.v1.KeyService/RotateKey", caller(Role.VERIFIER, Role.ADMIN))
