"""What an operator sets, over what a backend has by itself."""

import pytest

from signers import KeyUriError
from signers.remote.options import RemoteOptions, RemoteOverrides, RemoteSettings


@pytest.mark.parametrize(
    "wrong",
    [
        {"timeout": 0},
        {"timeout": 301},
        {"attempt_timeout": 0},
        {"attempts": 0},
        {"concurrency": 0},
        {"concurrency": 1025},
        {"max_queue": 0},
        {"max_batch": 0},
        {"budget": 0},
        {"burst": 0},
        {"budget_wait": -1},
    ],
    ids=str,
)
def test_values_out_of_range(wrong):
    """Every option has its range."""
    with pytest.raises(KeyUriError):
        RemoteOptions(**wrong)


def test_overrides_leave_the_rest():
    """What is not overridden is as the backend has it; a scheme without overrides is as its backend."""
    defaults = RemoteOptions(budget=250, burst=50, concurrency=16)
    settings = RemoteSettings({"a": RemoteOverrides(burst=7), "b": RemoteOptions(concurrency=2)})
    assert settings.get("a", defaults) == RemoteOptions(budget=250, burst=7, concurrency=16)
    assert settings.get("b", defaults) == RemoteOptions(concurrency=2)
    assert settings.get("c", defaults) is defaults or settings.get("c", defaults) == defaults


def test_processes_share_a_budget():
    """Each process has its part of the budget, and of no budget none."""
    settings = RemoteSettings({"a": RemoteOverrides(budget=100)}, processes=4)
    assert settings.get("a", RemoteOptions()).budget == 25
    assert settings.get("b", RemoteOptions(budget=8)).budget == 2
    assert settings.get("c", RemoteOptions()).budget is None
