"""The server that the edge is compared with: npm oidc-provider on node, one process, its state in memory."""

import asyncio
import json
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from bench.certificates import Identity
from bench.facts import AUDIENCE, SCOPES, SECRET_CLIENT_ID, Facts, keys_of
from bench.gateways import Site
from bench.servers import HttpsReadiness, Server, fetch, free_port
from tests.support import node

READY = HttpsReadiness("/jwks")
_SOURCES = Path(__file__).with_name("oidc_provider_program")
_CONFIG = "config.json"


class InstallError(Exception):
    """node is missing, or the package cannot be installed; the message says which."""


def install() -> Path:
    """The folder with the package, made once in the user's cache. Blocks. Raises `InstallError`."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise InstallError(f"{program} is not installed.")
    try:
        return node.install(_SOURCES)
    except (OSError, subprocess.SubprocessError) as error:
        raise InstallError(f"npm cannot install the package: {error}") from error


def describe(name: str, site: Site) -> Server:
    """Write the configuration of a provider with one client. Raises `InstallError`."""
    home, folder, port = install(), site.folder / "oidc-provider", free_port()
    folder.mkdir()
    address = f"localhost:{port}"
    identity = site.identities["server"]
    config = {
        "issuer": f"https://{address}",
        "port": port,
        "certificate": str(identity.certificate),
        "private_key": str(identity.private_key),
        "jwks": {"keys": [_new_key()]},
        "client": {
            "client_id": SECRET_CLIENT_ID,
            "client_secret": secrets.token_urlsafe(32),
            "token_endpoint_auth_method": "client_secret_basic",
            "grant_types": ["client_credentials"],
            "redirect_uris": [],
            "response_types": [],
            "scope": " ".join(SCOPES),
            "id_token_signed_response_alg": "ES256",
        },
        "audience": AUDIENCE,
        "scopes": SCOPES,
    }
    file = folder / _CONFIG
    file.touch(mode=0o600)
    file.write_text(json.dumps(config))
    command = ("node", str(home / "server.mjs"), str(file))
    return Server(name, "", (command,), folder / "log", {"NODE_ENV": "production"}, address)


async def facts(server: Server, identity: Identity) -> Facts:
    """What requests to the running *server* need."""
    config = json.loads(server.log.with_name(_CONFIG).read_text())
    jwks = await asyncio.to_thread(fetch, f"{config['issuer']}{READY.path}", identity.authority)
    return Facts((), keys_of(jwks), issuer=config["issuer"], secret=config["client"]["client_secret"])


def _new_key() -> dict[str, Any]:
    key: dict[str, Any] = json.loads(
        jwt.algorithms.ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()))
    )
    return key | {"kid": "bench", "alg": "ES256", "use": "sig"}
