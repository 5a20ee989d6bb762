"""docs/audit.md says of every event, field and fault what the code has."""

import dataclasses
import re
from pathlib import Path

from gateway.audit.faults import AuditFault
from gateway.audit.records import COMMON_FIELDS, EVENT_KINDS
from gateway.audit.refusals import RECORDED

TEXT = (Path(__file__).parents[2] / "docs" / "audit.md").read_text(encoding="utf-8")


def rows(name: str) -> list[list[str]]:
    """The cells of a marked table, its head left out."""
    (table,) = re.findall(rf"<!-- {name}: begin -->\n(.*?)<!-- {name}: end -->", TEXT, re.DOTALL)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def names(cell: str) -> list[str]:
    """What stands in backquotes."""
    return re.findall(r"`([^`]+)`", cell)


def test_every_event_is_listed_with_its_fields():
    """In the order of the code."""
    listed = {names(event)[0]: names(found) for event, _, found in rows("events")}
    assert listed == {
        name: [field.name for field in dataclasses.fields(kind)] for name, kind in EVENT_KINDS.items()
    }
    assert list(listed) == list(EVENT_KINDS)


def test_every_field_is_explained():
    """Those of all records first, and none that no record has."""
    explained = [name for cell, _, _ in rows("fields") for name in names(cell)]
    assert len(explained) == len(set(explained))
    assert set(explained[: len(COMMON_FIELDS)]) == set(COMMON_FIELDS)
    known = {field.name for kind in EVENT_KINDS.values() for field in dataclasses.fields(kind)}
    assert set(explained) == known | set(COMMON_FIELDS)


def test_every_recorded_refusal_is_named():
    """Exactly those of the code."""
    (listed,) = re.findall(r"- Reasons that count are .*?: (.*)\.\n", TEXT)
    assert set(listed.split(", ")) == {str(reason) for reason in RECORDED}


def test_every_fault_is_explained():
    """By its name on the command line."""
    assert [names(fault)[0] for fault, _ in rows("faults")] == [fault.value for fault in AuditFault]
