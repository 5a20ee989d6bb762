"""The example that enrolls a device, at a real OpenID provider: npm oidc-provider, through code and PKCE."""

import asyncio
import sys
import urllib.request
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.support.acme import acme_gateway
from tests.support.certificate_tools import WIRE_FINDINGS, accepted
from tests.support.edge import free_ports
from tests.support.oidc_provider import OidcProvider, public_client
from tests.support.pki import Authority, pem
from tests.support.wire import DOMAIN, HANDLE, NAME

EXAMPLE = Path(__file__).resolve().parents[2] / "clients" / "python" / "examples" / "enroll_device.py"


@pytest.fixture
async def idp(tmp_path):
    """The provider, where alice is known, and its client's loopback port."""
    (port,) = free_ports(1)
    authority = Authority.root("OpenID Root")
    (tmp_path / "idp-ca.pem").write_bytes(authority.pem)
    running = await OidcProvider.start(
        tmp_path,
        authority,
        clients=[public_client("wireapp", f"http://127.0.0.1:{port}/callback")],
        accounts={"alice": {"name": NAME, "preferred_username": f"{HANDLE}@{DOMAIN}"}},
        claims={"wire": ["keyauth", "acme_aud"]},
    )
    yield running, authority, port
    await running.stop()


async def enroll(gateway, idp, folder: Path, *, name: str = NAME, at_browser=lambda answer: answer):
    """Run the example; the user's browser brings what *at_browser* makes of the provider's answer."""
    provider, _, port = idp
    certificate, key = gateway.backend.write(folder, "backend")
    (folder / "ca.pem").write_bytes(gateway.gateway.root.pem)
    options = {
        "target": f"localhost:{gateway.gateway.server.ports.mtls}",
        "ca": folder / "ca.pem",
        "certificate": certificate,
        "private-key": key,
        "issuer": provider.issuer,
        "client-id": "wireapp",
        "provider-ca": folder / "idp-ca.pem",
        "redirect-port": port,
        "handle": HANDLE,
        "name": name,
        "domain": DOMAIN,
        "output": folder / "alice",
    }
    command = [sys.executable, str(EXAMPLE)]
    command += [str(part) for option, value in options.items() for part in (f"--{option}", value)]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
    if line:
        url = line.removeprefix("Log in at ").strip()
        answer = at_browser(await provider.log_in(url))
        callback = dict(parse_qsl(urlsplit(url).query))["redirect_uri"]
        await asyncio.to_thread(_browse, f"{callback}?{urlencode(answer)}")
    output, errors = await asyncio.wait_for(process.communicate(), 20)
    return process.returncode, output.decode(), errors.decode()


def _browse(url: str) -> None:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10) as page:
        assert page.status == 200


async def test_a_device_is_enrolled(tmp_path, idp):
    """The key and a chain that OpenSSL and pkilint accept are written."""
    provider, authority, _ = idp
    async with acme_gateway(tmp_path, oidc_issuer=provider.issuer, oidc_root=authority) as gateway:
        status, output, errors = await enroll(gateway, idp, tmp_path)

        assert (status, errors) == (0, "")
        chain = (tmp_path / "alice.pem").read_bytes()
        accepted(tmp_path, chain, pem(gateway.root), purpose="sslclient", findings=WIRE_FINDINGS)
    leaf = x509.load_pem_x509_certificate(chain)
    key = load_pem_private_key((tmp_path / "alice.key").read_bytes(), None)
    assert leaf.public_key() == key.public_key()
    assert leaf.subject.rfc4514_string() == f"CN={NAME},O={DOMAIN}"
    assert f"{leaf.serial_number:040x}" in output
    assert (tmp_path / "alice.key").stat().st_mode & 0o077 == 0


async def test_another_user_is_refused(tmp_path, idp):
    """Whoever logs in as alice enrolls no device of mallory's."""
    provider, authority, _ = idp
    async with acme_gateway(tmp_path, oidc_issuer=provider.issuer, oidc_root=authority) as gateway:
        status, _, errors = await enroll(gateway, idp, tmp_path, name="Mallory")

    assert (status, errors.strip()) == (1, "The ID token does not show the user: its name is another one.")
    assert not (tmp_path / "alice.pem").exists()


async def test_an_answer_of_another_login_is_refused(tmp_path, idp):
    """What somebody else's browser brings is not taken."""
    provider, authority, _ = idp
    async with acme_gateway(tmp_path, oidc_issuer=provider.issuer, oidc_root=authority) as gateway:
        status, _, errors = await enroll(
            gateway,
            idp,
            tmp_path,
            at_browser=lambda answer: [(name, "x" if name == "state" else value) for name, value in answer],
        )

    assert (status, errors.strip()) == (1, "the answer belongs to another login")
