"""The programs of a run: today's, and those of the future that bring one and two revisions more.

Older programs are no part of a source tree, so the older ones are today's, and the newer ones differ from
them in nothing but the revisions that they know (`tests.support.next_revisions`). What it shows is that
today's program serves from a database that a later one has migrated, beside that later one.
"""

import os
from typing import Final

from gateway.store.migrations import revisions
from tests.support.future import future

TODAY: Final = ""
NEXT: Final = "9001"
"""Additive: today's program goes on working."""
LATER: Final = "9002"
"""Leaves today's program behind, and builds an index online."""

_VARIABLE: Final = "REPLICAS_REVISION"


def environment_of(revision: str) -> dict[str, str]:
    """What makes a process the program of *revision*."""
    return {_VARIABLE: revision}


def become() -> None:
    """Make this process the program that its environment says."""
    revision = os.environ.get(_VARIABLE, TODAY)
    if revision != TODAY:
        revisions.CURRENT = future(revision)
