"""Orders, accounts and certificates for tests, with any part changed."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from gateway.enrollment.identifiers import Identifier, IdentifierType
from gateway.enrollment.model import (
    Account,
    AccountStatus,
    Authorization,
    AuthorizationStatus,
    Challenge,
    ChallengeType,
    Order,
    OrderStatus,
)
from gateway.enrollment.ports import Certificate, ExternalAccountKey, Reservation
from gateway.jose.jwk import Jwk, parse_jwk
from signers.jose_form import public_jwk
from tests.support.stores import NOW

_numbers = itertools.count(1)
_TOKEN = "t" * 32


def identifier(name: str) -> str:
    """A fresh id that starts with *name*."""
    return f"{name}-{next(_numbers)}"


def account(**changes: Any) -> Account:
    """A valid account with a fresh key."""
    values: dict[str, Any] = {
        "account_id": identifier("account"),
        "provisioner": "wire",
        "owner": "spiffe://example.org/backend",
        "key": parse_jwk(public_jwk(ed25519.Ed25519PrivateKey.generate().public_key())),
        "status": AccountStatus.VALID,
        "contact": ("mailto:alice@example.org",),
        "terms_agreed": True,
        "external_key_id": None,
        "create_time": NOW,
    }
    return Account(**(values | changes))


def p256() -> Jwk:
    """A fresh P-256 key."""
    return parse_jwk(public_jwk(ec.generate_private_key(ec.SECP256R1()).public_key()))


def authorization(*types: ChallengeType, **changes: Any) -> Authorization:
    """A pending authorization with a challenge of each of *types*."""
    values: dict[str, Any] = {
        "authorization_id": identifier("authorization"),
        "identifier": Identifier(IdentifierType.DNS, "www.example.org"),
        "status": AuthorizationStatus.PENDING,
        "expire_time": NOW + 3600,
        "challenges": tuple(Challenge(identifier("challenge"), kind, _TOKEN) for kind in types),
    }
    return Authorization(**(values | changes))


def order(*authorizations: Authorization, **changes: Any) -> Order:
    """A pending order with *authorizations*, or with one for http-01 and dns-01."""
    parts = authorizations or (authorization(ChallengeType.HTTP, ChallengeType.DNS),)
    values: dict[str, Any] = {
        "order_id": identifier("order"),
        "account_id": "account",
        "provisioner": "wire",
        "status": OrderStatus.PENDING,
        "identifiers": tuple(each.identifier for each in parts),
        "authorizations": parts,
        "not_before": datetime(2030, 1, 1, 0, 0, 0, 864222, UTC),
        "not_after": None,
        "create_time": NOW,
        "expire_time": NOW + 3600,
    }
    return Order(**(values | changes))


def ready(order_: Order) -> Order:
    """*order_* with all that it needs shown."""
    shown = tuple(replace(each, status=AuthorizationStatus.VALID) for each in order_.authorizations)
    return replace(order_, authorizations=shown, status=OrderStatus.READY)


def reservation(order_: Order | None = None, **changes: Any) -> Reservation:
    """A reservation for *order_*, leased for a minute."""
    values: dict[str, Any] = {
        "certificate_id": identifier("certificate"),
        "serial": (1 << 158) + next(_numbers),
        "order_id": None if order_ is None else order_.order_id,
        "account_id": None if order_ is None else order_.account_id,
        "provisioner": "wire",
        "issuer_key_id": "aa" * 20,
        "request_der": b"request",
        "issue_time": NOW,
        "lease_time": NOW + 60,
    }
    return Reservation(**(values | changes))


def certificate(reserved: Reservation, **changes: Any) -> Certificate:
    """What *reserved* became; its DER is no real one."""
    values: dict[str, Any] = {
        "certificate_id": reserved.certificate_id,
        "serial": reserved.serial,
        "order_id": reserved.order_id,
        "account_id": reserved.account_id,
        "provisioner": reserved.provisioner,
        "issuer_key_id": reserved.issuer_key_id,
        "der": b"certificate",
        "issuer_pem": b"chain",
        "not_before": datetime.fromtimestamp(NOW, UTC),
        "not_after": datetime.fromtimestamp(NOW + 86_400, UTC),
        "spki_sha256": bytes(32),
    }
    return Certificate(**(values | changes))


def external_key(**changes: Any) -> ExternalAccountKey:
    """An unused binding key."""
    values: dict[str, Any] = {
        "key_id": identifier("eab"),
        "provisioner": "wire",
        "secret": bytes(range(32)),
        "reference": "employee 7",
        "create_time": NOW,
        "expire_time": NOW + 3600,
    }
    return ExternalAccountKey(**(values | changes))
