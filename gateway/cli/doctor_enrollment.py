"""``countersign doctor`` on provisioners without a chain of their own: is there a CA to issue with?"""

from collections.abc import Sequence

from gateway.cli.findings import Finding
from gateway.config import Settings
from gateway.keys.model import KeyPurpose, KeyRecord, KeyState


def issuing_findings(settings: Settings, records: Sequence[KeyRecord]) -> list[Finding]:
    """One finding for each provisioner that issues with the active key of *records*."""
    findings = []
    for provisioner in settings.provisioners:
        if provisioner.chain is not None:
            continue
        subject = f"CA of provisioner {provisioner.name}"
        active = [
            record
            for record in records
            if record.purpose is KeyPurpose.CERTIFICATES
            and record.algorithm is provisioner.ca_algorithm
            and record.state is KeyState.ACTIVE
        ]
        if not active:
            rotated = any(
                policy.purpose is KeyPurpose.CERTIFICATES and policy.algorithm is provisioner.ca_algorithm
                for policy in settings.rotations
            )
            findings.append(
                Finding(
                    subject,
                    f"no key for certificates ({provisioner.ca_algorithm}) is active",
                    "the rotation makes one once the delegating key has its certificate; start the gateway"
                    if rotated
                    else "add [[rotations]] for certificates, or countersign keys create --delegated-for",
                    fatal=not rotated,
                )
            )
        elif not active[0].chain_pem:
            findings.append(
                Finding(subject, "the active key has no certificate", "countersign keys import-cert")
            )
        else:
            findings.append(Finding(subject, f"issues with {active[0].key_id[:8]}…"))
    return findings
