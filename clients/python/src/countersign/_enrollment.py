"""What both clients' enrollment shares."""

from collections.abc import Sequence
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from countersign.v1 import enrollment_service_pb2 as pb

METHOD_PREFIX = "/countersign.v1.EnrollmentService/"
WIRE_DPOP = "wire-dpop-01"
WIRE_OIDC = "wire-oidc-01"


class EnrollmentRefusedError(Exception):
    """A challenge was not passed; *type* is the ACME error type, the message says why."""

    def __init__(self, problem: pb.Problem) -> None:
        super().__init__(problem.detail)
        self.type = problem.type


def stamp(moment: datetime | None) -> Timestamp | None:
    """A Timestamp; None stays absent."""
    if moment is None:
        return None
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp


def answer(name: str, id_token: str, key_authorization: str, access_token: str) -> pb.AnswerChallengeRequest:
    """The answer that the arguments make."""
    if id_token:
        answered = pb.IdTokenAnswer(token=id_token, key_authorization=key_authorization)
        return pb.AnswerChallengeRequest(name=name, id_token=answered)
    if access_token:
        return pb.AnswerChallengeRequest(name=name, access_token=pb.AccessTokenAnswer(token=access_token))
    return pb.AnswerChallengeRequest(name=name, ready=pb.ReadyAnswer())


def revocation(
    account: str,
    certificate_der: bytes,
    reason: pb.RevocationReason,
    signed_request: pb.SignedRequest | None,
) -> pb.RevokeCertificateRequest:
    """The request that the arguments make."""
    if signed_request is not None:
        return pb.RevokeCertificateRequest(signed_request=signed_request)
    return pb.RevokeCertificateRequest(account=account, certificate_der=certificate_der, reason=reason)


def challenge_of(authorizations: Sequence[pb.Authorization], kind: str) -> pb.Challenge:
    """The challenge of type *kind*. Raises `LookupError` where none is offered."""
    for authorization in authorizations:
        for challenge in authorization.challenges:
            if challenge.type == kind:
                return challenge
    raise LookupError(kind)


def passed(response: pb.AnswerChallengeResponse) -> None:
    """The challenge is valid. Raises `EnrollmentRefusedError`."""
    if response.challenge.status != pb.CHALLENGE_STATUS_VALID:
        raise EnrollmentRefusedError(response.challenge.error)
