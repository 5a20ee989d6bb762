"""What tests of the audit log share."""

from tests.support.gateway import clock

__all__ = ["clock"]
