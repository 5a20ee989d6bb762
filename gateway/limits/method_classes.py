"""What each method is for, and so who goes first when there is not room for all: one table for both doors."""

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import Final


class MethodClass(StrEnum):
    """Methods that limits treat alike."""

    MINT = "mint"
    INTROSPECT = "introspect"
    REVOKE = "revoke"
    ENROLL = "enroll"
    VERIFY = "verify"
    AUDIT = "audit"
    ADMIN = "admin"
    METADATA = "metadata"
    HEALTH = "health"


class Priority(IntEnum):
    """Who is refused first. `HEALTH` is never refused, and not counted."""

    ORDINARY = 0
    RESERVED = 1
    CRITICAL = 2
    HEALTH = 3


PRIORITIES: Final[Mapping[MethodClass, Priority]] = {
    # What makes something new can be asked for again.
    MethodClass.MINT: Priority.ORDINARY,
    MethodClass.ENROLL: Priority.ORDINARY,
    MethodClass.VERIFY: Priority.ORDINARY,
    # What is on record stays there, and can be read later.
    MethodClass.AUDIT: Priority.ORDINARY,
    # Keys and metadata are kept for minutes by those who read them.
    MethodClass.METADATA: Priority.ORDINARY,
    # Resource servers answer nobody while they cannot ask.
    MethodClass.INTROSPECT: Priority.RESERVED,
    # What ends an attack has to get through the flood that covers it.
    MethodClass.REVOKE: Priority.CRITICAL,
    MethodClass.ADMIN: Priority.CRITICAL,
    MethodClass.HEALTH: Priority.HEALTH,
}

_COUNTERSIGN: Final = "countersign.v1."
_SERVICES: Final[Mapping[str, MethodClass]] = {
    f"{_COUNTERSIGN}TokenService": MethodClass.MINT,
    f"{_COUNTERSIGN}AuthorizationService": MethodClass.MINT,
    f"{_COUNTERSIGN}IntrospectionService": MethodClass.INTROSPECT,
    f"{_COUNTERSIGN}KeyService": MethodClass.ADMIN,
    f"{_COUNTERSIGN}ClientService": MethodClass.ADMIN,
    f"{_COUNTERSIGN}AuditService": MethodClass.AUDIT,
    f"{_COUNTERSIGN}EnrollmentService": MethodClass.ENROLL,
    f"{_COUNTERSIGN}PresentationService": MethodClass.VERIFY,
    "grpc.health.v1.Health": MethodClass.HEALTH,
    "grpc.reflection.v1alpha.ServerReflection": MethodClass.METADATA,
    "grpc.reflection.v1.ServerReflection": MethodClass.METADATA,
    "grpc.channelz.v1.Channelz": MethodClass.ADMIN,
}
_METHODS: Final[Mapping[str, MethodClass]] = {
    f"/{_COUNTERSIGN}TokenService/RevokeToken": MethodClass.REVOKE,
    f"/{_COUNTERSIGN}TokenService/CreateClientNonce": MethodClass.ENROLL,
    f"/{_COUNTERSIGN}TokenService/MintClientAccessToken": MethodClass.ENROLL,
    f"/{_COUNTERSIGN}TokenService/GetServerMetadata": MethodClass.METADATA,
    f"/{_COUNTERSIGN}TokenService/GetJwks": MethodClass.METADATA,
    f"/{_COUNTERSIGN}EnrollmentService/RevokeCertificate": MethodClass.REVOKE,
    # Whether a certificate is revoked is what introspection is for a token.
    f"/{_COUNTERSIGN}EnrollmentService/GetCertificateRevocationList": MethodClass.INTROSPECT,
    f"/{_COUNTERSIGN}EnrollmentService/GetOcspResponse": MethodClass.INTROSPECT,
    f"/{_COUNTERSIGN}EnrollmentService/CreateExternalAccountKey": MethodClass.ADMIN,
    f"/{_COUNTERSIGN}EnrollmentService/ListExternalAccountKeys": MethodClass.ADMIN,
    f"/{_COUNTERSIGN}EnrollmentService/DeleteExternalAccountKey": MethodClass.ADMIN,
}
"""Where a method is not of the class of its service."""


def class_of(method: str) -> MethodClass:
    """The class of *method* (full gRPC name); a service that is not listed goes last, with `METADATA`."""
    listed = _METHODS.get(method)
    return listed or _SERVICES.get(service_of(method), MethodClass.METADATA)


def priority_of(method: str) -> Priority:
    """How early *method* is refused."""
    return PRIORITIES[class_of(method)]


def service_of(method: str) -> str:
    """The full name of the service of *method*: ``countersign.v1.KeyService``."""
    return method[1:].partition("/")[0]
