# ruff: noqa: INP001, T201 - a program of its own, which prints.
r"""Enroll a user's device: from its keys and a login at the user's OpenID provider to its certificate.

    python enroll_device.py --target localhost:50052 --ca ca.pem \
        --certificate backend.pem --private-key backend.key \
        --issuer https://idp.example.org --client-id wireapp \
        --handle alice_wire --name 'Alice Smith' --domain wire.com --output alice

The certificate of the backend has the role enroller. The user logs in with the browser, through the
authorization code flow with PKCE; the ID token is asked for with the claims that bind it to the device's key.
Writes ALICE.key, the new private key, and ALICE.pem, the certificate with its chain.

A real device keeps its account's key too: with it the certificate is renewed and revoked.
"""

import argparse
import base64
import os
import secrets
import uuid
from pathlib import Path

from countersign import (
    CountersignError,
    DeviceKey,
    EnrollmentRefusedError,
    SyncGatewayClient,
    TlsConfig,
    WireDevice,
)
from countersign.v1 import enrollment_service_pb2 as pb
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from oidc_login import LoginError, Provider


def run(options: argparse.Namespace) -> None:
    device = WireDevice(
        client_id=options.device or new_client_id(options.domain),
        handle=options.handle,
        display_name=options.name,
        domain=options.domain,
    )
    provider = Provider(options.issuer, options.client_id, options.redirect_port, options.provider_ca)

    def login(challenge: pb.Challenge, key_authorization: str) -> str:
        claims = {"keyauth": key_authorization, "acme_aud": challenge.url}
        return provider.log_in(claims, lambda url: print(f"Log in at {url}", flush=True))

    key = ec.generate_private_key(ec.SECP256R1())
    tls = TlsConfig(ca=options.ca, certificate=options.certificate, private_key=options.private_key)
    with SyncGatewayClient(options.target, tls=tls) as client:
        issued = client.enroll_wire_device(
            options.provisioner,
            device,
            account_key=DeviceKey.generate(),
            certificate_key=DeviceKey(key),
            login=login,
        )
    write(Path(f"{options.output}.key"), key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    write(Path(f"{options.output}.pem"), issued.chain_pem)
    print(f"enrolled {device.client_id}: serial number {issued.serial_number}")


def new_client_id(domain: str) -> str:
    """A user and a device of *domain* that nobody else has."""
    user = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
    return f"wireapp://{user}!{secrets.randbits(63):x}@{domain}"


def write(path: Path, content: bytes) -> None:
    """A new file that only its owner reads."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Enroll a device.")
    for name in (
        "target",
        "ca",
        "certificate",
        "private-key",
        "issuer",
        "client-id",
        "handle",
        "name",
        "domain",
    ):
        default = os.environ.get(f"EXAMPLE_{name.upper().replace('-', '_')}")
        parser.add_argument(f"--{name}", default=default, required=default is None)
    parser.add_argument("--device", help="the device's client id; by default a new one")
    parser.add_argument("--output", default="device", help="where the key and the certificate go")
    parser.add_argument("--provisioner", default="wire")
    parser.add_argument("--provider-ca", help="roots of the provider's certificate; by default the system's")
    parser.add_argument(
        "--redirect-port", type=int, default=0, help="the loopback port registered for logins"
    )
    return parser.parse_args()


if __name__ == "__main__":
    try:
        run(arguments())
    except (CountersignError, EnrollmentRefusedError, LoginError, OSError) as error:
        raise SystemExit(str(error)) from error
