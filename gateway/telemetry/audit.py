"""What is kept of every use of a key: who, which key, for what, in which call; never what was signed."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class AuditedKey:
    """What does not change between two uses of a key.

    *key_id* is the thumbprint of its public half, and so names one version; *key* is its URI without secrets.
    """

    key_id: str
    key: str
    purpose: str
    algorithm: str
    backend: str


class SignatureRecord(NamedTuple):
    """Signatures that were made and are about to be handed out.

    - *time*: seconds since the epoch.
    - *caller*: the principal's name, empty for nobody; *request_id*: empty for what no call asked for.
    - *signatures*: how many were made in one step.
    """

    time: float
    used: AuditedKey
    caller: str
    request_id: str
    signatures: int


class AuditLog(Protocol):
    """Takes records without waiting, whatever becomes of them."""

    def signed(self, record: SignatureRecord) -> None:
        """Keep *record*. Never blocks, never raises."""
        ...
