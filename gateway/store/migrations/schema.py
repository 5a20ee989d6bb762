"""What a database says about its own schema, and whether a program may use it.

The window: a program works on databases from its own revision up to the last that was made without leaving
it behind (`Step.oldest_program`). So replicas are replaced one after another, and the database is migrated
before, between or with the first of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.store.failures import SchemaRevisionError
from gateway.store.migrations.revisions import Revisions, Step, number_of, steps

ALIVE_MICROSECONDS = 60_000_000
"""A program that gave no sign of life for so long, by the database's clock, does not use it any more."""


@dataclass(frozen=True, slots=True)
class SchemaState:
    """`revision` is None for an empty database, `oldest_program` 0 for one that does not say."""

    revision: str | None
    oldest_program: int = 0

    def is_ahead(self, revisions: Revisions) -> bool:
        """Whether a later program has migrated it. Raises `SchemaRevisionError` for a strange revision."""
        return self.revision is not None and number_of(self.revision) > number_of(revisions.head)

    def require(self, revisions: Revisions) -> None:
        """The program of *revisions* may use it. Raises `SchemaRevisionError`, a sentence for operators."""
        if self.revision is None:
            raise SchemaRevisionError(
                "The database is empty or does not exist; `countersign migrate up` or "
                "`countersign serve --migrate` makes it."
            )
        if self.revision == revisions.head:
            return
        found, needed = number_of(self.revision), number_of(revisions.head)
        if found < needed:
            raise SchemaRevisionError(
                f"The database is at revision {self.revision!r}, this program needs {revisions.head!r}; "
                "run `countersign migrate up`, also while programs of the revision before serve."
            )
        if not 0 < self.oldest_program <= needed:
            raise SchemaRevisionError(
                f"The database is at revision {self.revision!r}, on which programs from revision "
                f"{self.oldest_program:04d} on work; this one was made for {revisions.head!r}: replace it."
            )


def missing_steps(dialect: str, state: SchemaState, revisions: Revisions) -> Sequence[Step]:
    """What is missing on a database of *dialect*, in order.

    Nothing where it is ahead, by revisions on which this program works: a replica that is started again in
    the middle of an upgrade finds it so. Raises `SchemaRevisionError` where the program was left behind.
    """
    if state.is_ahead(revisions):
        state.require(revisions)
        return ()
    return steps(dialect, state.revision, revisions)


@dataclass(frozen=True, slots=True)
class OlderProgram:
    """A program that is alive and that a step would leave behind."""

    host: str
    process_id: int
    build: str
    program: int


def require_none_older(step: Step, older: Sequence[OlderProgram]) -> None:
    """Raises `SchemaRevisionError` where *older* is not empty."""
    if older:
        named = ", ".join(
            f"{each.host} (process {each.process_id}, version {each.build}, revision {each.program:04d})"
            for each in older
        )
        raise SchemaRevisionError(
            f"Revision {step.revision!r} needs programs from revision {step.oldest_program!r} on, and older "
            f"ones serve: {named}. Replace or stop them, then migrate again; one that was killed counts for "
            f"{ALIVE_MICROSECONDS // 1_000_000} seconds more."
        )
