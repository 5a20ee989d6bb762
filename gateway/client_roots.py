"""The roots that issue client certificates, replaceable while calls are served."""

from collections.abc import Callable

from cryptography import x509

from gateway.pki import ClientTrust, PkiError, PkiFault, PresentedCertificate


class ClientRoots:
    """A `ClientTrust` that can be exchanged. Authentication of callers and of OAuth clients share one.

    `generation` grows with every exchange: what was concluded from earlier roots counts no more.
    """

    def __init__(self, bundle: bytes) -> None:
        """*bundle*: the roots, PEM. Raises `PkiError` with `INVALID_ROOT`."""
        self.generation = 0
        self.verify: Callable[[PresentedCertificate, float], None] = _trust(bundle).verify
        """`ClientTrust.verify` of the roots of this moment: ask for it each time."""

    def replace(self, bundle: bytes) -> None:
        """Trust the roots of *bundle* (PEM) from now on, no others. Raises `PkiError`, changing nothing."""
        self.verify = _trust(bundle).verify
        self.generation += 1


def _trust(bundle: bytes) -> ClientTrust:
    try:
        return ClientTrust(x509.load_pem_x509_certificates(bundle))
    except ValueError as error:
        raise PkiError(PkiFault.INVALID_ROOT, "the bundle of roots is not valid PEM") from error
