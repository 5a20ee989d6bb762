"""Whether a client certificate chains to the configured PKI, verified in this process.

A TLS handshake that succeeded is not authentication: the listener may trust certificates that clients
registered for themselves, and one such certificate that is a CA can sign a leaf in any other client's name.
So the chain is verified again, against the roots of the PKI and nothing else, and a certificate that was
presented never becomes an anchor.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from cryptography import x509
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from gateway.pki.certificate_usage import require_ca, require_client_usage
from gateway.pki.errors import PkiError, PkiFault
from gateway.pki.name_constraints import require_permitted_subject
from gateway.pki.validity import require_valid_at

MAX_INTERMEDIATES = 8  # Certificates that a client may present besides its own.
MAX_CHAIN_DEPTH = 8  # Intermediates between a leaf and its root.
CACHE_ENTRIES = 1024


def _require_certificate_signing(
    _policy: Policy, _certificate: x509.Certificate, usage: x509.KeyUsage | None
) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("the key usage does not allow to sign certificates")


# The defaults demand a key usage of every CA, which a root made by plain `openssl req -x509` does not state.
# RFC 5280 §6.1.4 (n) asks for keyCertSign only where a key usage is present.
_CA_POLICY = ExtensionPolicy.webpki_defaults_ca().may_be_present(
    x509.KeyUsage, Criticality.AGNOSTIC, _require_certificate_signing
)


class PresentedCertificate(Protocol):
    """What a client presented: its own *certificate*, and the *intermediates* beside it."""

    @property
    def certificate(self) -> x509.Certificate: ...

    @property
    def intermediates(self) -> Sequence[x509.Certificate]: ...


@dataclass(frozen=True, slots=True)
class _Verified:
    """What was *presented*, and from when to when (seconds since the epoch) its whole chain is valid."""

    presented: PresentedCertificate
    start: float
    end: float

    @classmethod
    def of(cls, presented: PresentedCertificate, chain: Sequence[x509.Certificate]) -> "_Verified":
        return cls(
            presented,
            max(certificate.not_valid_before_utc.timestamp() for certificate in chain),
            min(certificate.not_valid_after_utc.timestamp() for certificate in chain),
        )


class ClientTrust:
    """The roots of `tls_client_auth`. Immutable but for its cache; new roots are a new object. One thread's.

    *roots* and *intermediates* are CA certificates; RSA of at least 2048 bits, or P-256, P-384 or P-521,
    because the verifier knows no other CA keys. *cache_entries* bounds how many verified chains are kept.
    Raises `PkiError` with `INVALID_ROOT` or `INVALID_INTERMEDIATE`.
    """

    def __init__(
        self,
        roots: Sequence[x509.Certificate],
        intermediates: Sequence[x509.Certificate] = (),
        *,
        cache_entries: int = CACHE_ENTRIES,
    ) -> None:
        if not roots:
            raise PkiError(PkiFault.INVALID_ROOT, "no root is configured")
        for root in roots:
            require_ca(root, PkiFault.INVALID_ROOT)
        for intermediate in intermediates:
            require_ca(intermediate, PkiFault.INVALID_INTERMEDIATE)
        self._intermediates = list(intermediates)
        self._policy = (
            PolicyBuilder()
            .store(Store(list(roots)))
            .max_chain_depth(MAX_CHAIN_DEPTH)
            # A client certificate may name its subject without a SAN, so the leaf's extensions are judged by
            # `require_client_usage`; unknown critical ones are still refused by the verifier.
            .extension_policies(
                ca_policy=_CA_POLICY,
                ee_policy=ExtensionPolicy.permit_all(),
            )
        )
        self._cache_entries = cache_entries
        # By identity: to hash and compare certificates costs more than the rest of a look-up. An entry holds
        # what it is about, so that its identity stays its own.
        self._verified: OrderedDict[int, _Verified] = OrderedDict()

    def verify(self, presented: PresentedCertificate, now: float) -> None:
        """A chain leads from what was *presented* to a root, at *now* (seconds since the epoch).

        Raises `PkiError`: `EXPIRED` and `NOT_YET_VALID` for the leaf's own dates, `UNTRUSTED` where no valid
        chain leads to a root, `WRONG_USAGE` for a leaf that is a CA or not meant for client authentication,
        `NAME_CONSTRAINT` for a subject outside what its CA may name, `CHAIN_TOO_LONG`, `INVALID_NAME` or
        `MALFORMED_CERTIFICATE`.
        """
        key = id(presented)
        known = self._verified.get(key)
        if known is not None and known.start <= now <= known.end:
            self._verified.move_to_end(key)
            return
        if len(presented.intermediates) > MAX_INTERMEDIATES:
            raise PkiError(PkiFault.CHAIN_TOO_LONG, f"more than {MAX_INTERMEDIATES} intermediates")
        # Outside its dates a chain is sought anew: another path may be valid still.
        self._verified.pop(key, None)
        chain = self._build_chain(presented.certificate, *presented.intermediates, now=now)
        self._verified[key] = _Verified.of(presented, chain)
        while len(self._verified) > self._cache_entries:
            self._verified.popitem(last=False)

    def _build_chain(
        self, leaf: x509.Certificate, *intermediates: x509.Certificate, now: float
    ) -> Sequence[x509.Certificate]:
        require_valid_at(leaf, now)
        verifier = self._policy.time(datetime.fromtimestamp(now, tz=UTC)).build_client_verifier()
        try:
            chain = verifier.verify(leaf, [*intermediates, *self._intermediates]).chain
        except VerificationError as error:
            raise PkiError(PkiFault.UNTRUSTED, "no valid chain leads to a configured root") from error
        except ValueError as error:
            raise PkiError(PkiFault.MALFORMED_CERTIFICATE, "a certificate cannot be read") from error
        require_client_usage(leaf)
        require_permitted_subject(leaf, chain[1:])
        return chain
