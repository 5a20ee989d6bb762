"""Accounts, orders, authorizations and challenges as ACME writes them (RFC 8555 §7.1)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from gateway.edge.acme_door import AcmeDoor
from gateway.edge.acme_problems import problem_document
from gateway.enrollment.authorities import moment
from gateway.enrollment.identifiers import Identifier
from gateway.enrollment.model import (
    Account,
    Authorization,
    AuthorizationStatus,
    Challenge,
    ChallengeStatus,
    Order,
)


def account_document(door: AcmeDoor, account: Account) -> Mapping[str, Any]:
    """RFC 8555 §7.1.2. Wire's clients take the account's URL from that of its orders."""
    document: dict[str, Any] = {
        "status": account.status.value,
        "orders": f"{door.account_url(account)}/orders",
    }
    if account.contact:
        document["contact"] = list(account.contact)
    if account.terms_agreed:
        document["termsOfServiceAgreed"] = True
    return document


def order_document(door: AcmeDoor, order: Order) -> Mapping[str, Any]:
    """RFC 8555 §7.1.3. The validity asked for is echoed and never rounded up: clients compare it."""
    document: dict[str, Any] = {
        "status": order.status.value,
        "finalize": door.url("order", order.order_id, "finalize"),
        "identifiers": [_identifier(each) for each in order.identifiers],
        "authorizations": [door.url("authz", each.authorization_id) for each in order.authorizations],
        "expires": rfc3339(moment(int(order.expire_time))),
    }
    if order.not_before is not None:
        document["notBefore"] = rfc3339(order.not_before)
    if order.not_after is not None:
        document["notAfter"] = rfc3339(order.not_after)
    if order.certificate_id is not None:
        document["certificate"] = door.url("certificate", order.certificate_id)
    if order.replaces is not None:
        document["replaces"] = order.replaces
    if order.error is not None:
        document["error"] = problem_document(order.error)
    return document


def authorization_document(door: AcmeDoor, order: Order, authorization: Authorization) -> Mapping[str, Any]:
    """RFC 8555 §7.1.4; a wildcard is told by its flag, its identifier being the domain."""
    identifier = authorization.identifier
    document: dict[str, Any] = {
        "status": authorization.status.value,
        "expires": rfc3339(moment(int(authorization.expire_time))),
        "challenges": [
            challenge_document(door, order, authorization, each) for each in _shown(authorization)
        ],
        "identifier": _identifier(identifier),
    }
    if identifier.wildcard:
        document["identifier"] = {"type": identifier.type.value, "value": identifier.value.removeprefix("*.")}
        document["wildcard"] = True
    return document


def challenge_document(
    door: AcmeDoor, order: Order, authorization: Authorization, challenge: Challenge
) -> Mapping[str, Any]:
    """RFC 8555 §8, and for Wire's challenges where to go for the answer."""
    document: dict[str, Any] = {
        "type": challenge.type.value,
        "url": door.provisioner.challenge_url(authorization.authorization_id, challenge.challenge_id),
        "status": challenge.status.value,
        "token": challenge.token,
    }
    target = door.provisioner.proof_target(order, challenge.type)
    if target is not None:
        document["target"] = target
    if challenge.validate_time is not None:
        document["validated"] = rfc3339(moment(int(challenge.validate_time)))
    if challenge.error is not None:
        document["error"] = problem_document(challenge.error)
    return document


def rfc3339(time: datetime) -> str:
    """*time*, in UTC, with as much of a fraction as it has."""
    return time.isoformat().removesuffix("+00:00") + "Z"


def _identifier(identifier: Identifier) -> Mapping[str, str]:
    return {"type": identifier.type.value, "value": identifier.value}


def _shown(authorization: Authorization) -> Sequence[Challenge]:
    """RFC 8555 §7.1.4: of one that is settled, only the challenges that settled it."""
    settled = {
        AuthorizationStatus.VALID: ChallengeStatus.VALID,
        AuthorizationStatus.INVALID: ChallengeStatus.INVALID,
    }.get(authorization.status)
    chosen = [each for each in authorization.challenges if each.status == settled]
    return chosen or authorization.challenges
