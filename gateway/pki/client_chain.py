"""Whether a client certificate chains to the configured PKI, verified in this process.

A TLS handshake that succeeded is not authentication: the listener may trust certificates that clients
registered for themselves, and one such certificate that is a CA can sign a leaf in any other client's name.
So the chain is verified again, against the roots of the PKI and nothing else, and a certificate that was
presented never becomes an anchor.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

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

MAX_INTERMEDIATES = 8  # Certificates that a client may present besides its own.
MAX_CHAIN_DEPTH = 8  # Intermediates between a leaf and its root.
CACHE_ENTRIES = 1024

_Presented: TypeAlias = tuple[x509.Certificate, ...]


@dataclass(frozen=True, slots=True)
class VerifiedChain:
    """A chain that verified: *certificates*, leaf to root, all valid in the given span, ends included."""

    certificates: tuple[x509.Certificate, ...]
    not_before: datetime
    not_after: datetime

    @classmethod
    def of(cls, certificates: Sequence[x509.Certificate]) -> "VerifiedChain":
        """The chain with the span in which every certificate of it is valid."""
        return cls(
            tuple(certificates),
            max(certificate.not_valid_before_utc for certificate in certificates),
            min(certificate.not_valid_after_utc for certificate in certificates),
        )


class ClientTrust:
    """The roots of `tls_client_auth`. Immutable but for its cache; new roots are a new object.

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
        self._verified: OrderedDict[_Presented, VerifiedChain] = OrderedDict()

    def verify(
        self, leaf: x509.Certificate, presented: Sequence[x509.Certificate], now: datetime
    ) -> VerifiedChain:
        """Verify *leaf* with the intermediates *presented* beside it, at *now* (aware, UTC).

        Raises `PkiError`: `EXPIRED` and `NOT_YET_VALID` for the leaf's own dates, `UNTRUSTED` where no valid
        chain leads to a root, `WRONG_USAGE` for a leaf that is a CA or not meant for client authentication,
        `NAME_CONSTRAINT` for a subject outside what its CA may name, `CHAIN_TOO_LONG`, or
        `MALFORMED_CERTIFICATE`.
        """
        if len(presented) > MAX_INTERMEDIATES:
            raise PkiError(PkiFault.CHAIN_TOO_LONG, f"more than {MAX_INTERMEDIATES} intermediates")
        key = (leaf, *presented)
        chain = self._verified.get(key)
        if chain is not None and chain.not_before <= now <= chain.not_after:
            self._verified.move_to_end(key)
            return chain
        # Past its span a chain is forgotten and sought anew: another path may be valid still.
        self._verified.pop(key, None)
        chain = self._verify(leaf, presented, now)
        self._verified[key] = chain
        while len(self._verified) > self._cache_entries:
            self._verified.popitem(last=False)
        return chain

    def _verify(
        self, leaf: x509.Certificate, presented: Sequence[x509.Certificate], now: datetime
    ) -> VerifiedChain:
        if now < leaf.not_valid_before_utc:
            raise PkiError(PkiFault.NOT_YET_VALID, "the certificate is not valid yet")
        if now > leaf.not_valid_after_utc:
            raise PkiError(PkiFault.EXPIRED, "the certificate has expired")
        verifier = self._policy.time(now).build_client_verifier()
        try:
            certificates = verifier.verify(leaf, [*presented, *self._intermediates]).chain
        except VerificationError as error:
            raise PkiError(PkiFault.UNTRUSTED, "no valid chain leads to a configured root") from error
        except ValueError as error:
            raise PkiError(PkiFault.MALFORMED_CERTIFICATE, "a certificate cannot be read") from error
        require_client_usage(leaf)
        require_permitted_subject(leaf, certificates[1:])
        return VerifiedChain.of(certificates)
