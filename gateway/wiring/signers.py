"""The signers from the configuration."""

from gateway.config import Settings
from signers.pkcs11.options import Pkcs11Options
from signers.registry import SignerRegistry


def open_signers(settings: Settings) -> SignerRegistry:
    """The signer registry that *settings* describe; an async context manager, not entered yet."""
    pkcs11 = settings.pkcs11
    module_path = pkcs11.module_path
    return SignerRegistry(
        base_dir=settings.base_dir,
        pkcs11=Pkcs11Options(
            module_path=None if module_path is None else str(settings.path(module_path)),
            sessions=pkcs11.sessions,
            max_queue=pkcs11.queue,
            timeout=pkcs11.sign_timeout,
            keep_alive=pkcs11.keep_alive,
            read_write_sessions=pkcs11.read_write_sessions,
            isolation=pkcs11.isolation,
        ),
        remote={
            "vault": settings.vault.overrides(),
            "awskms": settings.awskms.overrides(),
            "gcpkms": settings.gcpkms.overrides(),
            "azurekms": settings.azurekms.overrides(),
        },
        processes=settings.server.workers,
    )
