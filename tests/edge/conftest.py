"""One gateway for each module, and its HTTPS edge, on uvloop as in a worker: its TLS is not asyncio's."""

import uvloop

from tests.support.edge import edge
from tests.support.shared_gateway import admin, shared

__all__ = ["admin", "edge", "shared"]


def pytest_asyncio_loop_factories(config, item):
    """Every test of this folder runs on uvloop."""
    return {"uvloop": uvloop.new_event_loop}
