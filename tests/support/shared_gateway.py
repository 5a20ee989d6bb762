"""One gateway for a whole test module, for tests that do not disturb each other."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.gateway import RunningGateway, running_gateway


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGateway]:
    """The module's gateway; its tests run on the module's event loop."""
    async with running_gateway(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(shared: RunningGateway):
    """A client of the module's gateway with the role admin."""
    async with shared.client(shared.admin) as client:
        yield client
