"""A statement: built once with SQLAlchemy, compiled once per dialect, run on the raw driver.

SQLAlchemy's execution layer costs more than the database itself does on a point read, so it only writes the
SQL. Column types are primitive on both sides; no result needs processing.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect as SqlAlchemyDialect

from gateway.store.failures import unstorable


@dataclass(frozen=True, slots=True)
class SqlDialect:
    """What a statement may say differently on one database."""

    name: str
    compiler: Callable[[], SqlAlchemyDialect]
    insert: Callable[[sa.Table], Any]
    among: Callable[[sa.Column[Any], str], sa.ColumnElement[bool]]


def _among_json(column: sa.Column[Any], parameter: str) -> sa.ColumnElement[bool]:
    values = sa.func.json_each(sa.bindparam(parameter, type_=sa.JSON))
    return column.in_(sa.select(sa.column("value")).select_from(values))


def _among_array(column: sa.Column[Any], parameter: str) -> sa.ColumnElement[bool]:
    return column == sa.any_(sa.bindparam(parameter, type_=postgresql.ARRAY(sa.Text)))


def _postgresql_compiler() -> SqlAlchemyDialect:
    from sqlalchemy.dialects.postgresql import asyncpg  # noqa: PLC0415  # Only where PostgreSQL is used.

    dialect: SqlAlchemyDialect = asyncpg.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it so.
    return dialect


SQLITE = SqlDialect("sqlite", lambda: sqlite.dialect(paramstyle="qmark"), sqlite.insert, _among_json)
POSTGRESQL = SqlDialect("postgresql", _postgresql_compiler, postgresql.insert, _among_array)

Build: TypeAlias = Callable[[SqlDialect], sa.Executable]


@dataclass(frozen=True, slots=True)
class CompiledStatement:
    """SQL text of one dialect.

    - `order`: the parameters' names by position.
    - `constants`: values that the statement itself fixes.
    - `lists`: parameters that hold a list and travel as JSON.
    """

    text: str
    order: tuple[str, ...]
    constants: Mapping[str, object]
    lists: tuple[str, ...]

    def bind(self, parameters: Mapping[str, object]) -> Sequence[object]:
        """The values by position. Raises `RequestError` for text with NUL, which PostgreSQL cannot hold."""
        if self.constants:
            parameters = {**self.constants, **parameters}
        if self.lists:
            parameters = {**parameters, **{name: json.dumps(parameters[name]) for name in self.lists}}
        values = [parameters[name] for name in self.order]
        for value in values:
            if value.__class__ is str and "\0" in value:
                raise unstorable()
        return values


class Statement:
    """A statement of both dialects, compiled at first use.

    *build* is given the dialect and returns the statement with named parameters (`sqlalchemy.bindparam`).
    *scan* marks a read of many rows, which SQLite must not run on the event loop's thread.
    """

    def __init__(self, build: Build, *, scan: bool = False) -> None:
        self._build = build
        self.scan = scan

    @cached_property
    def sqlite(self) -> CompiledStatement:
        """For `sqlite3`, with ``?``."""
        return self._compile(SQLITE)

    @cached_property
    def postgresql(self) -> CompiledStatement:
        """For asyncpg, with ``$1``."""
        return self._compile(POSTGRESQL)

    def _compile(self, dialect: SqlDialect) -> CompiledStatement:
        # Every Executable that is built here is a ClauseElement too, which can be compiled.
        statement: Any = self._build(dialect)
        compiled = statement.compile(dialect=dialect.compiler())
        order = tuple(compiled.positiontup or ())
        lists = tuple(name for name in order if isinstance(compiled.binds[name].type, sa.JSON))
        constants = {name: value for name, value in compiled.params.items() if value is not None}
        return CompiledStatement(str(compiled), order, constants, lists)
