"""The gateways of a soak: one on SQLite with keys in files, one on PostgreSQL with its key in SoftHSM."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from bench import gateways
from bench.certificates import (
    ADMIN,
    CLIENT,
    RESOURCE,
    SERVER,
    Authority,
    Identity,
    spiffe_id,
    write_private_key,
)
from bench.servers import Server, free_port
from signers import Algorithm
from softhsm.provision import Provisioned, key_uri
from tests.support.issuing import ca_certificate
from tests.support.pki import Authority as CaAuthority

LOGIN: Final = "login"
BACKEND: Final = "backend"
PROVISIONER: Final = "wire"
DOMAIN: Final = "wire.example.org"
_TARGET: Final = "https://wire.example.org/clients/{device}/access-token"
_SPIES: Final = ("/usr/lib/x86_64-linux-gnu/pkcs11-spy.so", "/usr/lib/aarch64-linux-gnu/pkcs11-spy.so")


@dataclass(frozen=True, slots=True)
class Soaked:
    """One gateway. *metrics* is the port of its metrics; *spy*: where its PKCS#11 calls are logged, if so."""

    server: Server
    metrics: int
    spy: Path | None


def identities_of(folder: Path) -> Mapping[str, Identity]:
    """Everybody who calls."""
    authority = Authority(folder)
    return {name: authority.issue(name) for name in (SERVER, ADMIN, CLIENT, RESOURCE, LOGIN, BACKEND)}


def gateway(
    name: str, folder: Path, site: gateways.Site, *, database_url: str = "", hsm: Provisioned | None = None
) -> Soaked:
    """A gateway in *folder*: its key in *hsm*, else in a file; its data in *database_url*, else in SQLite."""
    folder.mkdir()
    metrics = free_port()
    environment: dict[str, str] = {}
    spy = None
    if hsm is None:
        uri = gateways.file_key(folder, Algorithm.ES256)
    else:
        environment |= hsm.environment
        module = next((Path(path) for path in _SPIES if Path(path).is_file()), None)
        uri = hsm.uri(Algorithm.ES256)
        if module is not None:
            spy = folder / "pkcs11.log"
            environment |= {"PKCS11SPY": str(hsm.module), "PKCS11SPY_OUTPUT": str(spy)}
            uri = key_uri(hsm.token, Algorithm.ES256, module=module, pin_file=hsm.pin_file)
    server = gateways.hosted(
        name,
        folder,
        site,
        Algorithm.ES256,
        uri,
        environment,
        https=True,
        sections=_sections(folder, metrics),
        database_url=database_url,
    )
    return Soaked(server, metrics, spy)


def _sections(folder: Path, metrics: int) -> str:
    """Enrollment, logins and metrics, with the keys that they need."""
    for name in ("minter", "ocsp"):
        write_private_key(folder / f"{name}.pem", ec.generate_private_key(ec.SECP256R1()))
    issuing = ec.generate_private_key(ec.SECP256R1())
    write_private_key(folder / "issuing.pem", issuing)
    chain = ca_certificate(issuing.public_key(), CaAuthority.root(), datetime.now(UTC).replace(microsecond=0))
    (folder / "chain.pem").write_bytes(chain.public_bytes(Encoding.PEM))
    secret = folder / "nonce.secret"
    secret.touch(mode=0o600)
    secret.write_bytes(secrets.token_bytes(32))
    keys = {"certificates": "issuing", "client-access-tokens": "minter", "ocsp-responses": "ocsp"}
    callers = {BACKEND: "enroller", LOGIN: "login"}
    return "".join(
        (
            *(
                f'\n[[keys]]\npurpose = "{purpose}"\nalgorithm = "ES256"\nuri = "file:{name}.pem"\n'
                for purpose, name in keys.items()
            ),
            *(
                f'\n[[callers]]\nsan_uri = "{spiffe_id(name)}"\nroles = ["{role}"]\n'
                for name, role in callers.items()
            ),
            f'\n[metrics]\nenabled = true\naddress = "127.0.0.1:{metrics}"\n',
            '\n[enrollment]\nnonce_secrets = ["nonce.secret"]\n',
            f"client_token_target = {json.dumps(_TARGET)}\n",
            f'\n[[provisioners]]\nname = "{PROVISIONER}"\nurl = "https://ca.example.org/acme/wire"\n',
            'chain = "chain.pem"\nchallenges = ["wire-oidc-01", "wire-dpop-01"]\n',
            f'domains = ["{DOMAIN}"]\ndefault_lifetime = 86400\n',
            'oidc_issuer = "https://idp.example.org"\noidc_client_id = "wireapp"\n',
            f"dpop_target = {json.dumps(_TARGET)}\n",
        )
    )


def sessions_open(spy: Path) -> int:
    """PKCS#11 sessions that were opened and not closed, by the spy's log, in the process that began last.

    A signer process that was replaced took its sessions with it, and has closed none in the log.
    """
    balance = 0
    with spy.open(errors="replace") as lines:
        for line in lines:
            if line.endswith(": C_OpenSession\n"):
                balance += 1
            elif line.endswith(": C_CloseSession\n"):
                balance -= 1
            elif line.endswith(": C_Initialize\n"):
                balance = 0
    return balance


def open_files(pid: int) -> int:
    """Files and sockets that the process has open (Linux)."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
