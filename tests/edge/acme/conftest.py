"""One gateway with an ACME door for each module."""

import pytest_asyncio

from tests.support.acme import KeyAuthorizations, acme_gateway

NAMES = ("www.example.org", "api.example.org")
"""Hosts that `web` answers for."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def web():
    """Where http-01 looks for www.example.org."""
    async with KeyAuthorizations() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory, web):
    """The module's gateway."""
    async with acme_gateway(tmp_path_factory.mktemp("acme"), http_port=web.port, names=NAMES) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def fresh(served):
    """A client of the provisioner tls that has no account yet."""
    async with served.client("tls") as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def client(fresh):
    """A client of the provisioner tls with an account."""
    response = await fresh.register()
    assert response.status_code == 201, response.text
    return fresh


@pytest_asyncio.fixture(loop_scope="module")
async def other(served):
    """Another client with an account."""
    async with served.client("tls") as opened:
        assert (await opened.register()).status_code == 201
        yield opened
