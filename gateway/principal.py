"""Who calls: a name, its roles, and the one certificate that the request carries."""

from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.proofs.client_certificate import ClientCertificate
from gateway.proofs.dpop_proof import DpopProof


class Role(StrEnum):
    """What a caller may be to the gateway. Nobody has a role that configuration does not give."""

    ADMIN = "admin"
    AUDITOR = "auditor"
    CLIENT = "client"
    ENROLLER = "enroller"
    LOGIN = "login"
    RESOURCE_SERVER = "resource-server"
    VERIFIER = "verifier"


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller, or `ANONYMOUS`.

    - `name`: the certificate's SPIFFE ID or else its subject (RFC 4514), or ``client:`` and a client id for
      a caller that presented a token of ours. Empty for nobody.
    - `resources`: the resource identifiers for which a resource server may introspect.
    - `client_id`: the OAuth client, where a token named one.
    - `proof`: the DPoP proof that came with that token, used up; it stands for this request only.
    """

    name: str
    roles: frozenset[Role] = frozenset()
    resources: frozenset[str] = frozenset()
    client_id: str | None = None
    proof: DpopProof | None = None


ANONYMOUS = Principal(name="")
"""No caller could be established. What is public, or proven inside the request, is still open to it."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a use case may know of the request around it, the same for every door.

    `certificate` is the only client certificate of the request, resolved once; authentication, binding and
    audit all use this object, so that no certificate can authenticate while another is bound. `proof` is the
    DPoP proof of the request, checked, where its door takes one (RFC 9449 §5); authenticating the client uses
    it up.
    """

    principal: Principal
    certificate: ClientCertificate | None
    request_id: str
    proof: DpopProof | None = None


call_under_way: Final[ContextVar[Call]] = ContextVar("call")
"""The call that this task serves, where it cannot be handed down; unset outside a call."""
