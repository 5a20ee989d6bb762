"""What the store demands of a database is what docs/replicas.md says, found in the SQL that is sent."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from gateway.store import StoreOptions, counters, open_store
from gateway.tokens.ports import Revocation
from tests.docs.tables import DOCS, replaced
from tests.support import sql_features
from tests.support.stores import NOW, empty_database, key_record

DOCUMENT = (DOCS / "replicas.md").read_text(encoding="utf-8")


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    with empty_database("postgresql", tmp_path) as url:
        yield url


def test_the_table_is_in_the_documentation():
    """docs/replicas.md has each feature and what it is for (python -m tests.docs.tables)."""
    assert replaced(DOCUMENT, "sql", sql_features.table()) == DOCUMENT


@pytest.mark.parametrize("feature", sql_features.FEATURES, ids=lambda feature: feature.name)
def test_no_feature_is_named_in_vain(feature):
    """Some statement needs it."""
    assert any(re.search(feature.pattern, text) for text in sql_features.statements().values())


def test_statements_are_made_of_known_words():
    """A keyword, type or function that is new has to be looked at, and named where it matters."""
    for name, text in sql_features.statements().items():
        assert sql_features.words_of(text) <= sql_features.WORDS, name
        assert sql_features.functions_of(text) <= sql_features.FUNCTIONS, name


def _generalized(statement: str) -> str:
    """With the numbers and words taken out that differ from run to run."""
    told = re.sub(r"(pg_notify\('countersign', ')[^']+", r"\1…", " ".join(statement.split()))
    return re.sub(r"= \d+", "= …", told)


async def test_what_is_sent_beside_the_statements(url, monkeypatch):
    """Around the statements only what docs/replicas.md lists is sent, prepared or not."""
    sent: set[str] = set()
    connect = asyncpg.connect

    async def logging(*arguments: Any, **options: Any) -> Any:
        connection = await connect(*arguments, **options)
        connection.add_query_logger(lambda record: sent.add(_generalized(record.query)))
        return connection

    async with open_store(url, migrate=True):
        pass
    monkeypatch.setattr(asyncpg, "connect", logging)
    for prepared in (True, False):
        async with (
            open_store(url, options=StoreOptions(prepared_statements=prepared)) as store,
            store.listening(),
            store.replicas.announced(),
        ):
            await store.revocations.revoke(Revocation(f"t-{prepared}", None, NOW, NOW + 60))
            await store.keys.insert(key_record(f"k-{prepared}"), None)
            await store.check_writable()
            await store.purge.once()
            with pytest.raises(RuntimeError):
                await store.database.transaction(_failing)
    known = {_generalized(text) for text in _statements()}
    listed = set(re.findall(r"^- `(.*)`", DOCUMENT.partition("<!-- sent: begin -->")[2], re.MULTILINE))
    assert "\n".join(sorted(sent - known)) == "\n".join(sorted(listed))


def _statements() -> list[str]:
    from gateway.store.observed import statement_names  # noqa: PLC0415 - here only

    return [statement.postgresql.text for statement in statement_names()]


async def _failing(transaction: Any) -> None:
    await counters.lock(transaction, counters.KEYS)
    raise RuntimeError("undone")
