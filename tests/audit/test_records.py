"""Records: typed events in, octets out that are the same whoever writes them."""

import dataclasses
import json
import typing

import pytest

from gateway.audit import events
from gateway.audit.records import COMMON_FIELDS, EVENT_KINDS, Actor, Outcome, Record, encode_members

TEXT = 'é "quoted"\n\N{GRINNING FACE}'


def sample(kind: type) -> typing.Any:
    """An event of *kind* with a value in every field."""
    values: dict[str, object] = {}
    for field in dataclasses.fields(kind):
        hint = typing.get_type_hints(kind)[field.name]
        values[field.name] = {int: 7, bool: True, tuple[str, ...]: (TEXT, "b")}.get(hint, TEXT)
    return kind(**values)


@pytest.mark.parametrize("kind", EVENT_KINDS.values(), ids=str)
def test_a_record_is_one_line_of_canonical_json(kind):
    """Reading and writing again gives the same octets; members are sorted, and none is missing."""
    octets = Record(sample(kind), 123, Actor(TEXT, "x5t", "r1"), Outcome.FAILED, "WHY").encode()
    members = json.loads(octets)
    assert octets.isascii()
    assert b"\n" not in octets
    assert encode_members(members) == octets
    assert list(members) == sorted(members)
    assert set(members) == {*COMMON_FIELDS, *(field.name for field in dataclasses.fields(kind))}
    assert members["event"] == kind.event


@pytest.mark.parametrize("kind", EVENT_KINDS.values(), ids=str)
def test_fields_of_an_event_have_names_of_their_own(kind):
    """None hides a member that every record has."""
    assert not {field.name for field in dataclasses.fields(kind)} & set(COMMON_FIELDS)


def test_every_event_is_known_by_one_name():
    """The union names every class of the module, and no two have the same name."""
    classes = [each for each in vars(events).values() if isinstance(each, type) and hasattr(each, "event")]
    assert set(classes) == set(EVENT_KINDS.values())
    assert len(classes) == len(EVENT_KINDS)
