"""Fixtures for the signers' own tests."""

from tests.support.softhsm import softhsm, softhsm_all

__all__ = ["softhsm", "softhsm_all"]
