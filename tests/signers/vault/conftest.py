"""Fixtures for the tests of Transit keys."""

from tests.support.openbao import openbao, own_openbao

__all__ = ["openbao", "own_openbao"]
