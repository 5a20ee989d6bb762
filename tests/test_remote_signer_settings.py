"""The sections of signers behind a network, on their way to the signers."""

import dataclasses

import pytest
from pydantic import ValidationError

from gateway.settings.remote_signers import RemoteSignerSettings
from signers.remote.options import RemoteOptions, RemoteOverrides

EVERYTHING = {
    "sign_timeout": 7.0,
    "request_timeout": 2.0,
    "attempts": 2,
    "concurrency": 3,
    "queue": 5,
    "batch": 6,
    "budget": 8.0,
    "burst": 9,
    "budget_wait": 0.5,
}


def test_nothing_said_changes_nothing():
    """An empty section leaves every option as the backend has it."""
    defaults = RemoteOptions(budget=3.0, concurrency=2)
    assert RemoteSignerSettings().overrides() == RemoteOverrides()
    assert RemoteSignerSettings().overrides().over(defaults) == defaults


def test_every_field_has_its_option():
    """Each field sets one option, and each option has a field."""
    assert set(EVERYTHING) == set(RemoteSignerSettings.model_fields)
    options = RemoteSignerSettings(**EVERYTHING).overrides().over(RemoteOptions())
    assert dataclasses.astuple(options) == (7.0, 2.0, 2, 3, 5, 6, 8.0, 9, 0.5)


@pytest.mark.parametrize("name", EVERYTHING)
def test_ranges(name):
    """What is below each field's range is refused when the configuration is read."""
    with pytest.raises(ValidationError, match=name):
        RemoteSignerSettings(**{name: -1})
