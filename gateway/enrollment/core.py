"""The use cases of enrollment, wired: what every door calls."""

from dataclasses import dataclass

from gateway.audit.ports import NO_TRAIL, AuditTrail
from gateway.clock import Clock
from gateway.enrollment.accounts import Accounts
from gateway.enrollment.answers import Challenges
from gateway.enrollment.domain_validation import DomainValidator
from gateway.enrollment.external_accounts import ExternalAccounts
from gateway.enrollment.issuing import Issuing
from gateway.enrollment.ocsp import Ocsp
from gateway.enrollment.orders import Orders
from gateway.enrollment.ports import (
    AccountRepository,
    CertificateRepository,
    ExternalAccountRepository,
    OrderRepository,
)
from gateway.enrollment.provisioners import Provisioners
from gateway.enrollment.revocations import Revocations
from gateway.enrollment.signed_requests import Nonces
from gateway.keys.keyring import Keyring
from signers import Algorithm


@dataclass(frozen=True, slots=True)
class Enrollment:
    """Everything about enrollment that a door needs. *nonces* are for signed requests."""

    provisioners: Provisioners
    nonces: Nonces
    external: ExternalAccounts
    accounts: Accounts
    orders: Orders
    challenges: Challenges
    issuing: Issuing
    revocations: Revocations
    ocsp: Ocsp


@dataclass(frozen=True, slots=True)
class Repositories:
    """What is remembered; see `gateway.enrollment.ports`."""

    accounts: AccountRepository
    external_accounts: ExternalAccountRepository
    orders: OrderRepository
    certificates: CertificateRepository


def wire_enrollment(
    *,
    provisioners: Provisioners,
    repositories: Repositories,
    nonces: Nonces,
    domains: DomainValidator | None,
    keyring: Keyring,
    ocsp_algorithm: Algorithm,
    clock: Clock,
    trail: AuditTrail = NO_TRAIL,
) -> Enrollment:
    """The use cases over *repositories*."""
    external = ExternalAccounts(keys=repositories.external_accounts, provisioners=provisioners, clock=clock)
    orders = Orders(
        orders=repositories.orders,
        certificates=repositories.certificates,
        provisioners=provisioners,
        clock=clock,
    )
    return Enrollment(
        provisioners=provisioners,
        nonces=nonces,
        external=external,
        accounts=Accounts(
            accounts=repositories.accounts, provisioners=provisioners, external=external, clock=clock
        ),
        orders=orders,
        challenges=Challenges(
            orders=orders,
            repository=repositories.orders,
            provisioners=provisioners,
            domains=domains,
            clock=clock,
        ),
        issuing=Issuing(
            orders=orders,
            certificates=repositories.certificates,
            provisioners=provisioners,
            clock=clock,
            trail=trail,
        ),
        revocations=Revocations(
            certificates=repositories.certificates,
            orders=repositories.orders,
            provisioners=provisioners,
            clock=clock,
            trail=trail,
        ),
        ocsp=Ocsp(
            certificates=repositories.certificates,
            provisioners=provisioners,
            keyring=keyring,
            algorithm=ocsp_algorithm,
            clock=clock,
        ),
    )
