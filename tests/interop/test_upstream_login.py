"""npm openid-client and oauth4webapi as clients, the gateway in the middle, npm oidc-provider behind it."""

import asyncio
from pathlib import Path

import pytest

from tests.support import node
from tests.support.edge import free_ports
from tests.support.pki import Authority
from tests.support.upstream import (
    CALLBACK,
    COOKIE,
    REDIRECT,
    Browser,
    browsing,
    prepared_for,
    provider,
    reaching_loopback,
)

SOURCES = Path(__file__).parent / "oauth_clients"


async def followed(browser: Browser, url: str) -> str:
    """Where a browser that was sent to *url* ends up at the client."""
    departure = await browser.edge.get(url)
    cookie = departure.headers["set-cookie"].partition(";")[0].removeprefix(f"{COOKIE}=")
    back = await browser.come_back(await browser.log_in(departure), cookie=cookie)
    location = str(back.headers["location"])
    assert location.startswith(f"{REDIRECT}?code=")
    return location


@pytest.mark.parametrize("pushed", [False, True])
async def test_the_code_flow(tmp_path, pushed):
    """Discovery, authorization with or without PAR, login, code with issuer, refresh, revocation."""
    authority, (port,) = Authority.root("OpenID Root"), free_ports(1)
    issuer = f"https://localhost:{port}"
    async with (
        provider(tmp_path, authority, issuer + CALLBACK) as upstream,
        reaching_loopback(authority),
    ):
        prepared = await prepared_for(
            tmp_path,
            upstream.issuer,
            server={"https_address": f"127.0.0.1:{port}"},
            tokens={"issuer": issuer},
        )
        async with browsing(prepared, upstream) as browser:
            task = {
                "issuer": issuer,
                "ca": browser.gateway.root.pem.decode(),
                "client_id": "app",
                "secret": browser.secret,
                "redirect_uri": REDIRECT,
                "verifier": browser.pkce.verifier,
                "pushed": pushed,
            }
            urls = await asyncio.to_thread(node.run, SOURCES, "code_flow.mjs", {**task, "step": "begin"})
            assert ("request_uri=" in urls["openid_client"]) == pushed
            locations = {name: await followed(browser, url) for name, url in urls.items()}
            task |= {"step": "redeem", "locations": locations}
            answers = await asyncio.to_thread(node.run, SOURCES, "code_flow.mjs", task)
    assert set(answers) == {"oauth4webapi", "openid_client"}
    for answer in answers.values():
        assert answer["first"]["scope"] == answer["second"]["scope"] == "read"
        assert answer["first"]["access_token"] != answer["second"]["access_token"]
        assert answer["after"] == {"active": False}
