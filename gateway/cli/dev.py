"""``countersign dev``: make what is missing in one folder, register a sample client, and serve."""

import argparse
import asyncio
from functools import partial
from pathlib import Path

from gateway.application import load_roots, open_application
from gateway.cli.development import (
    CLIENT_ID,
    HTTPS_ADDRESS,
    HTTPS_MTLS_ADDRESS,
    KEY_URI,
    LINKAGE_KEY_URI,
    MTLS_ADDRESS,
    REQUEST_KEY_URI,
    RESOURCE,
    TLS_ADDRESS,
    TRUST_DOMAIN,
    Addresses,
    DevelopmentKey,
    prepare,
)
from gateway.cli.serve import announce
from gateway.config import Settings, load
from gateway.pki.certificate_identity import CertificateIdentity, IdentityKind
from gateway.tokens.client import Client, ClientAuthenticationMethod, GrantType
from gateway.workers import supervise
from signers import Algorithm


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this subcommand."""
    parser = commands.add_parser("dev", help="make a development gateway in a folder and serve it")
    parser.add_argument("--dir", type=Path, default=Path("var"), help="the folder (default: ./var)")
    parser.add_argument("--key", default=KEY_URI, help="URI of the key that signs tokens")
    parser.add_argument("--request-key", default=REQUEST_KEY_URI, help="URI of the key that asks wallets")
    parser.add_argument("--linkage-key", default=LINKAGE_KEY_URI, help="URI of the key that links our domain")
    parser.add_argument(
        "--algorithm", type=Algorithm, default=Algorithm.ES256, help="of these keys (default: ES256)"
    )
    parser.add_argument("--tls-address", default=TLS_ADDRESS, help=f"default: {TLS_ADDRESS}")
    parser.add_argument("--mtls-address", default=MTLS_ADDRESS, help=f"default: {MTLS_ADDRESS}")
    parser.add_argument("--https-address", default=HTTPS_ADDRESS, help=f"default: {HTTPS_ADDRESS}")
    parser.add_argument(
        "--https-mtls-address", default=HTTPS_MTLS_ADDRESS, help=f"default: {HTTPS_MTLS_ADDRESS}"
    )
    parser.add_argument("--prepare-only", action="store_true", help="make the files and exit")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prepare and serve; returns the exit status."""
    configuration = prepare(
        arguments.dir,
        DevelopmentKey(
            arguments.key, arguments.request_key, arguments.linkage_key, algorithm=arguments.algorithm
        ),
        Addresses(
            arguments.tls_address,
            arguments.mtls_address,
            arguments.https_address,
            arguments.https_mtls_address,
        ),
    )
    settings = load(configuration)
    asyncio.run(_register_sample_client(settings))
    print(f"Configuration, certificates and keys are in {arguments.dir}/.", flush=True)
    if arguments.prepare_only:
        return 0
    return supervise(settings, configuration, migrate=False, on_ready=partial(announce, settings))


async def _register_sample_client(settings: Settings) -> None:
    async with open_application(settings, load_roots(settings), migrate=True) as application:
        if await application.store.clients.get(CLIENT_ID) is None:
            await application.registrar.create(_sample_client(), None)


def _sample_client() -> Client:
    return Client(
        client_id=CLIENT_ID,
        display_name="Sample backend",
        authentication_method=ClientAuthenticationMethod.TLS_CLIENT_AUTH,
        identity=CertificateIdentity.parse(IdentityKind.SAN_URI, f"{TRUST_DOMAIN}/{CLIENT_ID}"),
        jwks=None,
        secret_hash=None,
        grant_types=frozenset({GrantType.CLIENT_CREDENTIALS}),
        scopes=frozenset({"orders:read", "orders:write"}),
        audiences=frozenset({RESOURCE}),
        default_audience=RESOURCE,
        resources=frozenset(),
        certificate_bound_access_tokens=True,
        access_token_lifetime=None,
        disabled=False,
        revision=0,
        create_time=0,
        update_time=0,
    )
