"""What one certificate certifies, as decided by whoever checked the order."""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from gateway.pki.names import DistinguishedName
from signers import PublicKey


@dataclass(frozen=True, slots=True)
class Leaf:
    """The content of one certificate that no profile can know.

    *names* are the subject alternative names in the order in which they will stand. *not_before* and
    *not_after* are wishes in UTC; None leaves them to the profile.
    """

    public_key: PublicKey
    subject: DistinguishedName
    names: tuple[x509.GeneralName, ...]
    not_before: datetime | None = None
    not_after: datetime | None = None
