"""One gateway for each module, and its HTTPS edge."""

from tests.support.edge import edge
from tests.support.shared_gateway import admin, shared

__all__ = ["admin", "edge", "shared"]
