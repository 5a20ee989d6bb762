"""What a token is bound to: a certificate (RFC 8705 §3), a DPoP key (RFC 9449 §6), or nothing; never both."""

from dataclasses import dataclass
from typing import Final, TypeAlias

from gateway.errors import AuthenticationError, Reason, RequestError
from gateway.jose import base64url
from gateway.jose.errors import JoseError, JoseFault
from gateway.jose.jwt import Claims
from gateway.principal import Call
from gateway.tokens.client import Client

_SHA256_TEXT: Final = 43  # characters of base64url


@dataclass(frozen=True, slots=True)
class CertificateBinding:
    """`x5t_s256`: SHA-256 of the certificate's DER, base64url without padding (RFC 8705 §3.1)."""

    x5t_s256: str

    def confirmation(self) -> dict[str, str]:
        """The value of ``cnf`` (RFC 7800 §3.1)."""
        return {"x5t#S256": self.x5t_s256}


@dataclass(frozen=True, slots=True)
class DpopBinding:
    """`jkt`: RFC 7638 SHA-256 thumbprint of the proof's key, base64url without padding (RFC 9449 §6.1)."""

    jkt: str

    def confirmation(self) -> dict[str, str]:
        """The value of ``cnf`` (RFC 7800 §3.1)."""
        return {"jkt": self.jkt}


Binding: TypeAlias = CertificateBinding | DpopBinding


def binding_of(call: Call, client: Client) -> Binding | None:
    """What a token that *client* is given on *call* is bound to; None makes a bearer token.

    A DPoP proof is an explicit wish, so it goes before a certificate, which may be there to authenticate
    only. A client that is registered for one kind of binding gets that one or an error, never less.
    Raises `AuthenticationError` CLIENT_CERTIFICATE_REQUIRED, `RequestError` (INVALID_DPOP_PROOF,
    INVALID_REQUEST).
    """
    if call.proof is not None:
        if client.certificate_bound_access_tokens:
            raise RequestError(
                Reason.INVALID_REQUEST,
                "The client's tokens are bound to its certificate; a DPoP proof asks for another binding.",
                cause="two_bindings",
            )
        return DpopBinding(call.proof.jkt)
    if client.dpop_bound_access_tokens:
        # RFC 9449 §5.2: such a client never gets a token without a proof.
        raise RequestError(
            Reason.INVALID_DPOP_PROOF,
            "The client's tokens are bound to a DPoP key, and the request carries no proof.",
            cause="dpop_header_missing",
        )
    if call.certificate is not None:
        return CertificateBinding(call.certificate.x5t_s256)
    if client.certificate_bound_access_tokens:
        # RFC 8705 §3.4 leaves error or unbound token to the server; an unbound one would be a silent
        # downgrade of what the client was registered for.
        raise AuthenticationError(
            Reason.CLIENT_CERTIFICATE_REQUIRED,
            "The client's tokens are bound to a certificate, and the request carries none.",
        )
    return None


def held_by(binding: Binding | None, call: Call) -> bool:
    """Whether *call* shows what *binding* asks for; nothing is asked for where it is None."""
    match binding:
        case CertificateBinding(x5t_s256):
            return call.certificate is not None and call.certificate.x5t_s256 == x5t_s256
        case DpopBinding(jkt):
            return call.proof is not None and call.proof.jkt == jkt
        case None:
            return True


def binding_from(claims: Claims) -> Binding | None:
    """The binding that a verified claims set confirms; one that we do not know is refused, not ignored.

    Raises `JoseError`.
    """
    if "cnf" not in claims:
        return None
    confirmation = claims.nested("cnf")
    names = confirmation.names()
    if names == {"x5t#S256"}:
        return CertificateBinding(_thumbprint(confirmation, "x5t#S256"))
    if names == {"jkt"}:
        return DpopBinding(_thumbprint(confirmation, "jkt"))
    raise JoseError(JoseFault.CLAIM_INVALID, "cnf is not one known confirmation", member="cnf")


def _thumbprint(confirmation: Claims, name: str) -> str:
    thumbprint = confirmation.string(name)
    if len(thumbprint) != _SHA256_TEXT:
        raise JoseError(JoseFault.CLAIM_INVALID, f"{name} is not a SHA-256 value", member="cnf")
    base64url.decode(thumbprint)
    return thumbprint
