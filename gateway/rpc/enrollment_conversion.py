"""Between the wire and the rules, for enrollment: parse once, and render what came back."""

from datetime import UTC, datetime
from typing import Final

from countersign.v1 import enrollment_service_pb2 as pb
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.enrollment.answers import AccessTokenAnswer, Answer, Answered, IdTokenAnswer, ReadyAnswer
from gateway.enrollment.model import (
    Account,
    AccountStatus,
    Authorization,
    AuthorizationStatus,
    Challenge,
    ChallengeStatus,
    Order,
    OrderStatus,
    Problem,
)
from gateway.enrollment.orders import OrderWish
from gateway.enrollment.ports import Certificate, ExternalAccountKey
from gateway.enrollment.provisioners import Provisioner
from gateway.enrollment.signed_requests import FlattenedJws
from gateway.errors import Reason, RequestError
from gateway.pki.crl import RevocationReason
from gateway.pki.renewal import RenewalIdentifier
from gateway.rpc.enrollment_names import account_name, provisioner_name

_ACCOUNT: Final = {
    AccountStatus.VALID: pb.ACCOUNT_STATUS_VALID,
    AccountStatus.DEACTIVATED: pb.ACCOUNT_STATUS_DEACTIVATED,
    AccountStatus.REVOKED: pb.ACCOUNT_STATUS_REVOKED,
}
ORDER: Final = {
    OrderStatus.PENDING: pb.ORDER_STATUS_PENDING,
    OrderStatus.READY: pb.ORDER_STATUS_READY,
    OrderStatus.PROCESSING: pb.ORDER_STATUS_PROCESSING,
    OrderStatus.VALID: pb.ORDER_STATUS_VALID,
    OrderStatus.INVALID: pb.ORDER_STATUS_INVALID,
}
AUTHORIZATION: Final = {
    AuthorizationStatus.PENDING: pb.AUTHORIZATION_STATUS_PENDING,
    AuthorizationStatus.VALID: pb.AUTHORIZATION_STATUS_VALID,
    AuthorizationStatus.INVALID: pb.AUTHORIZATION_STATUS_INVALID,
    AuthorizationStatus.DEACTIVATED: pb.AUTHORIZATION_STATUS_DEACTIVATED,
    AuthorizationStatus.EXPIRED: pb.AUTHORIZATION_STATUS_EXPIRED,
    AuthorizationStatus.REVOKED: pb.AUTHORIZATION_STATUS_REVOKED,
}
_CHALLENGE: Final = {
    ChallengeStatus.PENDING: pb.CHALLENGE_STATUS_PENDING,
    ChallengeStatus.VALID: pb.CHALLENGE_STATUS_VALID,
    ChallengeStatus.INVALID: pb.CHALLENGE_STATUS_INVALID,
}
REASONS: Final = {
    pb.REVOCATION_REASON_UNSPECIFIED: RevocationReason.UNSPECIFIED,
    pb.REVOCATION_REASON_KEY_COMPROMISE: RevocationReason.KEY_COMPROMISE,
    pb.REVOCATION_REASON_AFFILIATION_CHANGED: RevocationReason.AFFILIATION_CHANGED,
    pb.REVOCATION_REASON_SUPERSEDED: RevocationReason.SUPERSEDED,
    pb.REVOCATION_REASON_CESSATION_OF_OPERATION: RevocationReason.CESSATION_OF_OPERATION,
    pb.REVOCATION_REASON_PRIVILEGE_WITHDRAWN: RevocationReason.PRIVILEGE_WITHDRAWN,
}
_REASONS: Final = {reason: number for number, reason in REASONS.items()}


def flattened_of(message: pb.SignedRequest) -> FlattenedJws:
    """The JWS of a message."""
    return FlattenedJws(message.protected, message.payload, message.signature)


def wish_of(request: pb.CreateOrderRequest) -> OrderWish:
    """The order asked for. Raises `RequestError` INVALID_FIELD."""
    return OrderWish(
        identifiers=[(each.type, each.name) for each in request.identifiers],
        not_before=_moment(request, "not_before"),
        not_after=_moment(request, "not_after"),
        replaces=request.replaces or None,
    )


def answer_of(request: pb.AnswerChallengeRequest) -> Answer:
    """The answer. Raises `RequestError` MISSING_FIELD."""
    match request.WhichOneof("answer"):
        case "id_token":
            return IdTokenAnswer(request.id_token.token, request.id_token.key_authorization or None)
        case "access_token":
            return AccessTokenAnswer(request.access_token.token)
        case "ready":
            return ReadyAnswer()
        case _:
            raise RequestError(Reason.MISSING_FIELD, "Give the answer.", field="answer")


def timestamp(seconds: float) -> Timestamp:
    """A Timestamp, to the microsecond."""
    stamp = Timestamp()
    stamp.FromMicroseconds(round(seconds * 1e6))
    return stamp


def provisioner_message(provisioner: Provisioner) -> pb.Provisioner:
    """A provisioner on the wire."""
    return pb.Provisioner(
        name=provisioner_name(provisioner.name),
        url=provisioner.url,
        challenges=sorted(provisioner.challenges),
        external_account_required=provisioner.external_account_required,
        terms_url=provisioner.terms_url or "",
    )


def account_message(account: Account) -> pb.Account:
    """An account on the wire."""
    return pb.Account(
        name=account_name(account.account_id),
        provisioner=provisioner_name(account.provisioner),
        status=_ACCOUNT[account.status],
        contact=account.contact,
        key_thumbprint=account.thumbprint,
        external_account_key=account.external_key_id or "",
        create_time=timestamp(account.create_time),
    )


def order_message(order: Order) -> pb.Order:
    """An order on the wire."""
    account = account_name(order.account_id)
    certificate = "" if order.certificate_id is None else f"{account}/certificates/{order.certificate_id}"
    return pb.Order(
        name=f"{account}/orders/{order.order_id}",
        status=ORDER[order.status],
        identifiers=[pb.Identifier(type=each.type, name=each.value) for each in order.identifiers],
        authorizations=[f"{account}/authorizations/{each.authorization_id}" for each in order.authorizations],
        not_before=_optional(order.not_before),
        not_after=_optional(order.not_after),
        expire_time=timestamp(order.expire_time),
        certificate=certificate,
        error=_problem(order.error),
    )


def authorization_message(
    order: Order, authorization: Authorization, provisioner: Provisioner
) -> pb.Authorization:
    """An authorization on the wire."""
    identifier = authorization.identifier
    return pb.Authorization(
        name=_authorization_name(order, authorization),
        status=AUTHORIZATION[authorization.status],
        # RFC 8555 §7.1.4: the value without the wildcard, and a flag.
        identifier=pb.Identifier(type=identifier.type, name=identifier.value.removeprefix("*.")),
        wildcard=identifier.wildcard,
        challenges=[
            challenge_message(order, authorization, each, provisioner) for each in authorization.challenges
        ],
        expire_time=timestamp(authorization.expire_time),
    )


def challenge_message(
    order: Order, authorization: Authorization, challenge: Challenge, provisioner: Provisioner
) -> pb.Challenge:
    """A challenge on the wire."""
    validated = challenge.validate_time
    return pb.Challenge(
        name=f"{_authorization_name(order, authorization)}/challenges/{challenge.challenge_id}",
        type=challenge.type,
        status=_CHALLENGE[challenge.status],
        url=provisioner.challenge_url(authorization.authorization_id, challenge.challenge_id),
        token=challenge.token,
        target=provisioner.proof_target(order, challenge.type) or "",
        validate_time=None if validated is None else timestamp(validated),
        error=_problem(challenge.error),
    )


def answered_message(answered: Answered, provisioner: Provisioner) -> pb.AnswerChallengeResponse:
    """What became of an answer, on the wire."""
    return pb.AnswerChallengeResponse(
        challenge=challenge_message(answered.order, answered.authorization, answered.challenge, provisioner),
        authorization_status=AUTHORIZATION[answered.authorization.status],
        order_status=ORDER[answered.order.status],
    )


def certificate_message(certificate: Certificate) -> pb.Certificate:
    """A certificate on the wire."""
    leaf = x509.load_der_x509_certificate(certificate.der)
    revoked = certificate.revoke_time
    account = account_name(certificate.account_id or "")
    return pb.Certificate(
        name=f"{account}/certificates/{certificate.certificate_id}",
        certificate_der=certificate.der,
        chain_pem=leaf.public_bytes(Encoding.PEM) + certificate.issuer_pem,
        serial_number=f"{certificate.serial:040x}",
        not_before=_optional(certificate.not_before),
        not_after=_optional(certificate.not_after),
        revoke_time=None if revoked is None else timestamp(revoked),
        revoke_reason=_REASONS[certificate.revoke_reason or RevocationReason.UNSPECIFIED],
        renewal_identifier=RenewalIdentifier.of(leaf).text,
    )


def external_key_message(key: ExternalAccountKey) -> pb.ExternalAccountKey:
    """A binding key on the wire, without its secret."""
    return pb.ExternalAccountKey(
        name=f"{provisioner_name(key.provisioner)}/externalAccountKeys/{key.key_id}",
        key_id=key.key_id,
        reference=key.reference,
        account="" if key.account_id is None else account_name(key.account_id),
        create_time=timestamp(key.create_time),
        expire_time=timestamp(key.expire_time),
        bind_time=None if key.bind_time is None else timestamp(key.bind_time),
    )


def _authorization_name(order: Order, authorization: Authorization) -> str:
    return f"{account_name(order.account_id)}/authorizations/{authorization.authorization_id}"


def _problem(problem: Problem | None) -> pb.Problem | None:
    return None if problem is None else pb.Problem(type=problem.type, detail=problem.detail)


def _moment(request: pb.CreateOrderRequest, field: str) -> datetime | None:
    if not request.HasField(field):
        return None
    try:
        stamp: Timestamp = getattr(request, field)
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise RequestError(Reason.INVALID_FIELD, "The time is out of range.", field=field) from error


def _optional(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
