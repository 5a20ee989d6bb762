"""What each method is for, and who is refused first."""

import pytest

from gateway.authorization import POLICIES
from gateway.limits.method_classes import (
    PRIORITIES,
    MethodClass,
    Priority,
    class_of,
    priority_of,
    service_of,
)
from gateway.rpc.core_queue import APART

SERVICE = "/countersign.v1."


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("TokenService/MintToken", MethodClass.MINT),
        ("TokenService/BatchMintTokens", MethodClass.MINT),
        ("TokenService/RevokeToken", MethodClass.REVOKE),
        ("TokenService/GetJwks", MethodClass.METADATA),
        ("TokenService/MintClientAccessToken", MethodClass.ENROLL),
        ("AuthorizationService/PushAuthorizationRequest", MethodClass.MINT),
        ("IntrospectionService/IntrospectToken", MethodClass.INTROSPECT),
        ("IntrospectionService/WatchRevocations", MethodClass.INTROSPECT),
        ("EnrollmentService/CreateOrder", MethodClass.ENROLL),
        ("EnrollmentService/RevokeCertificate", MethodClass.REVOKE),
        ("EnrollmentService/GetOcspResponse", MethodClass.INTROSPECT),
        ("EnrollmentService/CreateExternalAccountKey", MethodClass.ADMIN),
        ("PresentationService/VerifyPresentation", MethodClass.VERIFY),
        ("KeyService/DisableKey", MethodClass.ADMIN),
        ("ClientService/CreateClient", MethodClass.ADMIN),
        ("AuditService/ExportAuditLog", MethodClass.AUDIT),
    ],
)
def test_classes(method, kind):
    """Each method is of the class that its name promises."""
    assert class_of(SERVICE + method) is kind


@pytest.mark.parametrize("method", sorted(POLICIES))
def test_what_ends_an_attack_goes_first(method):
    """Methods for administrators alone and revocations are never refused before anything else is."""
    policy = POLICIES[method]
    urgent = [str(role) for role in policy.roles] == ["admin"] or "Revoke" in method
    expected = {Priority.CRITICAL} if urgent else {Priority.ORDINARY, Priority.RESERVED, Priority.HEALTH}
    assert priority_of(method) in expected


def test_every_class_has_a_priority():
    """Minting, enrolling and verifying are refused first, introspection after them, revocation last."""
    assert PRIORITIES.keys() == set(MethodClass)
    assert Priority.ORDINARY < PRIORITIES[MethodClass.INTROSPECT] < PRIORITIES[MethodClass.REVOKE]
    assert PRIORITIES[MethodClass.MINT] is PRIORITIES[MethodClass.ENROLL] is Priority.ORDINARY
    assert PRIORITIES[MethodClass.VERIFY] is Priority.ORDINARY


def test_every_service_is_listed():
    """A service that somebody adds to the table of policies has a class of its own choice here."""
    unknown = {service_of(method) for method in POLICIES if class_of(method) is MethodClass.METADATA}
    assert unknown == {
        "countersign.v1.TokenService",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }


def test_what_waits_apart_is_urgent():
    """No method that is refused first has a queue of its own, and every one that has exists."""
    assert POLICIES.keys() >= APART
    assert min(priority_of(method) for method in APART) > Priority.ORDINARY
