"""How PKCS#11 tokens are used: what a key URI does not say."""

from dataclasses import dataclass

from signers.errors import KeyUriError


@dataclass(frozen=True, slots=True)
class Pkcs11Options:
    """Settings for every token of a registry.

    `module_path`: the PKCS#11 library for URIs without `module-path`.
    `sessions`: sessions, and so threads, per token; lowered to what the token allows. One more logs in.
    `max_queue`: jobs that may wait; beyond, calls fail at once with `SignerBusyError`.
    `timeout`: seconds after which a signature is given up (`SignerTimeoutError`), whatever the caller waits.
    `keep_alive`: seconds between uses of a login that nobody else uses; 0 leaves it to be idle.
    `read_write_sessions`: for tokens that open no read-only session (AWS CloudHSM).
    `isolation`: keep the module in a signer process of its own (`signers.isolated`); see docs/hsm.md.
    `allow_pin_value`: accept `pin-value` in a URI; for tests only.
    """

    module_path: str | None = None
    sessions: int = 4
    max_queue: int = 1024
    timeout: float = 10.0
    keep_alive: float = 20.0
    read_write_sessions: bool = False
    isolation: bool = False
    allow_pin_value: bool = False

    def __post_init__(self) -> None:
        if self.module_path is not None and not self.module_path.startswith("/"):
            raise KeyUriError("The PKCS#11 module_path must be absolute.")
        if not 1 <= self.sessions <= 256 or not 1 <= self.max_queue <= 1_000_000:  # noqa: PLR2004  # Ranges.
            raise KeyUriError("PKCS#11 sessions must be 1 to 256, and max_queue 1 to 1000000.")
        if not 0 <= self.keep_alive <= 86_400:  # noqa: PLR2004  # As above.
            raise KeyUriError("The PKCS#11 keep_alive must be 0 to 86400 seconds.")
        if not 0 < self.timeout <= 300:  # noqa: PLR2004  # As above.
            raise KeyUriError("The PKCS#11 timeout must be more than 0 and at most 300 seconds.")
