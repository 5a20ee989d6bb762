"""What holds for every test: none may be skipped or expected to fail, and none fails unseen.

A skipped test looks green and proves nothing. Where the environment variable CI is ``true``, as ``make test``
sets it, a session with one fails; elsewhere the summary says so loudly.
"""

import os
import signal

import pytest

NOT_RUN = ("skipped", "xfailed", "xpassed")
_EXCERPT = 2_000
"""Characters of why a test failed that was then run again."""


def _not_run(config: pytest.Config) -> list[str]:
    """One line for each test that was skipped or expected to fail."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return []
    return [
        f"{outcome}: {report.nodeid}" for outcome in NOT_RUN for report in reporter.stats.get(outcome, ())
    ]


def pytest_configure() -> None:
    """Processes that tests start hear SIGINT, also where a shell has started this one in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_fatal() -> bool:
    return os.environ.get("CI", "").lower() in ("true", "1")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if _is_fatal() and session.exitstatus == pytest.ExitCode.OK and _not_run(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    again = terminalreporter.stats.get("rerun", ())
    if again:
        terminalreporter.section("RUN AGAIN", sep="!", yellow=True, bold=True)
        for report in again:
            terminalreporter.line(f"failed at first: {report.nodeid}", yellow=True)
            terminalreporter.line(report.longreprtext[-_EXCERPT:])
    lines = _not_run(config)
    if not lines:
        return
    terminalreporter.section("NOT EVERY TEST RAN", sep="!", red=True, bold=True)
    for line in lines:
        terminalreporter.line(line, red=True)
    if _is_fatal():
        terminalreporter.line("CI=true: this fails the session.", red=True)
