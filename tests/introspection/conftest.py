"""The use cases over a real database and real keys."""

from tests.support.gateway import app, clock, gateway

__all__ = ["app", "clock", "gateway"]
