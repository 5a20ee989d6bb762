"""Database URLs."""

from pathlib import Path

import pytest

from gateway.store.failures import StoreUrlError
from gateway.store.options import PostgresqlUrl, SqliteUrl, parse_url


def test_three_slashes_are_relative_and_four_absolute():
    """As SQLAlchemy spells them."""
    assert parse_url("sqlite:///var/state.db") == SqliteUrl(Path.cwd() / "var/state.db")
    assert parse_url("sqlite:////var/state.db") == SqliteUrl(Path("/var/state.db"))


@pytest.mark.parametrize("url", ["postgresql://u@h/d?sslmode=require", "postgres://h/d"])
def test_postgresql_urls_are_passed_on(url):
    """What libpq accepts is the driver's to read."""
    assert parse_url(url) == PostgresqlUrl(url)


@pytest.mark.parametrize(
    "url", ["", "state.db", "mysql://h/d", "sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///a?b=c"]
)
def test_other_urls_are_refused(url):
    """Each with a sentence that says what to use."""
    with pytest.raises(StoreUrlError, match="sqlite:///"):
        parse_url(url)


def test_a_url_with_a_password_is_not_printed():
    """Its representation shows nothing of it."""
    assert "pa55word" not in repr(parse_url("postgresql://u:pa55word@h/d"))
