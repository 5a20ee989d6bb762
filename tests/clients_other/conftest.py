"""The clients in Go and TypeScript are tested by ``make test-clients``, which sets up what they need.

Elsewhere these tests are left out, as a machine may have neither Go nor Node.js, and the summary says so.
"""

import os

import pytest

CHOSEN = "COUNTERSIGN_TEST_CLIENTS" in os.environ

collect_ignore_glob = [] if CHOSEN else ["test_*.py"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not CHOSEN:
        message = "Left out: the clients in Go and TypeScript, the Helm chart. Run make test-clients."
        terminalreporter.write_line(message)
