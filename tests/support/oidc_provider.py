"""A real OpenID provider, npm ``oidc-provider`` on node, and a browser that logs in at it.

provider = await OidcProvider.start(folder, authority, clients=[...])
provider.issuer                                 https://localhost:PORT, certificate by *authority*
parameters = await provider.log_in(url)         the query of the redirect back, as pairs
await provider.rotate(new_signing_keys())
await provider.stop()

The package is installed once, into a cache folder of the user; its version is pinned beside `server.mjs`.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import ssl
import subprocess
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPMessage
from http.cookiejar import CookieJar
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import parse_qsl, urlsplit

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from signers.jose_form import thumbprint
from tests.support.pki import Authority
from tests.support.private_jwk import private_jwk

_SOURCES: Final = Path(__file__).parent / "oidc_provider"
_START_TIMEOUT: Final = 30.0  # seconds
_INSTALL_TIMEOUT: Final = 110.0  # seconds

ACCOUNTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "alice": {
        "name": "Alice Smith",
        "preferred_username": "alice_wire@wire.example",
        "email": "alice@wire.example",
        "email_verified": True,
    }
}


def new_signing_keys() -> dict[str, Any]:
    """A private JWK Set: one RSA and one P-256 key, named by their thumbprints."""
    keys = (rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1()))
    members = [
        json.loads(private_jwk(key)) | {"kid": thumbprint(key.public_key()), "use": "sig"} for key in keys
    ]
    return {"keys": members}


def _named(members: dict[str, Any], kid: str) -> dict[str, Any]:
    return {**members, "kid": kid, "use": "sig"}


def public_client(client_id: str, redirect_uri: str, **more: Any) -> dict[str, Any]:
    """Metadata of a public client with PKCE, such as a Wire app; *more* overrides."""
    return {
        "client_id": client_id,
        "redirect_uris": [redirect_uri],
        "token_endpoint_auth_method": "none",
        "application_type": "native",
        **more,
    }


def install() -> Path:
    """The folder with ``node_modules``, made if it is not there. Several processes may call it at once."""
    manifest = (_SOURCES / "package.json").read_bytes()
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "countersign-tests"
    folder = root / f"oidc-provider-{hashlib.sha256(manifest).hexdigest()[:16]}"
    root.mkdir(parents=True, exist_ok=True)
    with (root / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            unfinished = folder.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            (unfinished / "package.json").write_bytes(manifest)
            subprocess.run(
                ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"],
                cwd=unfinished,
                check=True,
                timeout=_INSTALL_TIMEOUT,
                stdout=subprocess.DEVNULL,
            )
            unfinished.rename(folder)
    # Modules are looked for beside the importing file: the script stands where they are.
    script = folder / "server.mjs"
    temporary = folder / f"server.{os.getpid()}.mjs"
    temporary.write_bytes((_SOURCES / "server.mjs").read_bytes())
    temporary.replace(script)
    return folder


@dataclass
class OidcProvider:
    """A provider that is running."""

    issuer: str
    ca_pem: str
    _process: asyncio.subprocess.Process = field(repr=False)

    @classmethod
    async def start(
        cls,
        folder: Path,
        authority: Authority,
        *,
        clients: Sequence[Mapping[str, Any]],
        jwks: Mapping[str, Any] | None = None,
        accounts: Mapping[str, Mapping[str, Any]] = ACCOUNTS,
        claims: Mapping[str, Sequence[str]] | None = None,
        login: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> "OidcProvider":
        """Start a provider; *folder* takes its certificate.

        *clients* is client metadata (OpenID Connect Registration §2), *jwks* private signing keys, *accounts*
        the claims by subject, *claims* further claims by scope (a claim of Wire's is listed so), *login* what
        is known of each login (``acr``, ``amr``), *options* whatever else ``oidc-provider`` takes as JSON.
        """
        home = await asyncio.to_thread(install)
        certificate, key = authority.server("localhost").write(folder, "provider")
        config = {
            "clients": clients,
            "jwks": jwks or new_signing_keys(),
            "accounts": accounts,
            "claims": claims or {},
            "login": login or {},
            "options": options or {},
            "certificate": str(certificate),
            "private_key": str(key),
        }
        process = await asyncio.create_subprocess_exec(
            "node",
            str(home / "server.mjs"),
            cwd=home,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        answer = await _ask(process, config)
        return cls(answer["issuer"], authority.pem.decode(), process)

    async def rotate(self, jwks: Mapping[str, Any]) -> None:
        """Sign with *jwks* from now on, and publish nothing else."""
        await _ask(self._process, {"jwks": jwks})

    async def stop(self) -> None:
        """End the provider; calling it twice is harmless."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def log_in(self, url: str) -> list[tuple[str, str]]:
        """Open *url* in a new browser session; returns the query of the redirect that leaves the provider."""
        return await asyncio.to_thread(self._browse, url)

    def _browse(self, url: str) -> list[tuple[str, str]]:
        tls = ssl.create_default_context(cadata=self.ca_pem)
        browser = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=tls),
            urllib.request.HTTPCookieProcessor(CookieJar()),
            _StayAtProvider(self.issuer),
        )
        try:
            with browser.open(url, timeout=10) as page:
                raise AssertionError(f"the provider showed a page: {page.read(2000)!r}")
        except _LeftError as left:
            return parse_qsl(urlsplit(left.url).query, keep_blank_values=True)


class _LeftError(Exception):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url


class _StayAtProvider(urllib.request.HTTPRedirectHandler):
    def __init__(self, issuer: str) -> None:
        self._issuer = issuer

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Follow within the provider, and stop at the first redirect that leaves it."""
        if not newurl.startswith(f"{self._issuer}/"):
            raise _LeftError(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


async def _ask(process: asyncio.subprocess.Process, message: Mapping[str, Any]) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(message).encode() + b"\n")
    await process.stdin.drain()
    line = await asyncio.wait_for(process.stdout.readline(), _START_TIMEOUT)
    if not line:
        raise RuntimeError("the OpenID provider ended; its messages are on standard error")
    answer: dict[str, Any] = json.loads(line)
    return answer
