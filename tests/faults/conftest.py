"""Fixtures for tests that break a part."""

import pytest

from tests.support.openbao import openbao, own_openbao
from tests.support.p11_kit import P11KitServer
from tests.support.softhsm import FaultyTable, softhsm

__all__ = ["openbao", "own_openbao", "softhsm"]


@pytest.fixture
def faulty() -> FaultyTable:
    """A module table whose binding can be made to fail."""
    return FaultyTable()


@pytest.fixture(scope="session")
def hsm_socket(tmp_path_factory):
    """One address per test run, because the client module reads it once, when it is loaded."""
    return tmp_path_factory.mktemp("p11") / "socket"


@pytest.fixture
def network_hsm(softhsm, hsm_socket, monkeypatch):
    """A running `P11KitServer` before the token, which the client module in this process will find."""
    server = P11KitServer(softhsm, hsm_socket)
    monkeypatch.setenv("P11_KIT_SERVER_ADDRESS", server.address)
    server.start()
    yield server
    server.kill()
