"""Submission requirements (Presentation Exchange, Submission Requirement Feature): reading and satisfying."""

from collections.abc import Set as AbstractSet
from typing import Any, Final

from gateway.presentations.exchange.errors import ExchangeError, ExchangeFault
from gateway.presentations.exchange.members import Members
from gateway.presentations.exchange.model import FromGroup, FromNested, InputDescriptor, Requirement

MAX_REQUIREMENTS: Final = 32  # of one array
MAX_NESTING: Final = 4

_REQUIREMENT: Final = frozenset({"name", "purpose", "rule", "count", "min", "max", "from", "from_nested"})


def parse_requirements(
    definition: Members, descriptors: tuple[InputDescriptor, ...]
) -> tuple[Requirement, ...]:
    """The ``submission_requirements`` of *definition*, none where absent. Raises `ExchangeError`."""
    if "submission_requirements" not in definition:
        return ()
    items = definition.items("submission_requirements", max_items=MAX_REQUIREMENTS)
    for index, descriptor in enumerate(descriptors):
        if not descriptor.groups:
            message = "with submission requirements every descriptor has a group"
            path = f"$.input_descriptors[{index}]"
            raise ExchangeError(ExchangeFault.DESCRIPTOR_NOT_GROUPED, message, path=path)
    return tuple(_parse_requirement(item, path, descriptors, 1) for item, path in items)


def is_satisfied(
    requirement: Requirement,
    descriptors: tuple[InputDescriptor, ...],
    submitted: AbstractSet[str],
    valid: AbstractSet[str],
) -> bool:
    """Whether *requirement* is satisfied by the descriptors *submitted*, of which those in *valid* hold.

    Both are ids. Numbers are compared with what was submitted as well, so that one too many is refused even
    where it does not hold.
    """
    if isinstance(requirement.source, FromGroup):
        members = _members_of(requirement.source.group, descriptors)
        held, offered, total = len(members & valid), len(members & submitted), len(members)
    else:
        nested = requirement.source.requirements
        held = sum(is_satisfied(each, descriptors, submitted, valid) for each in nested)
        offered, total = held, len(nested)
    if not requirement.pick:
        return held == total
    return (
        (requirement.count is None or held == offered == requirement.count)
        and (requirement.minimum is None or held >= requirement.minimum)
        and (requirement.maximum is None or offered <= requirement.maximum)
    )


def _members_of(group: str, descriptors: tuple[InputDescriptor, ...]) -> set[str]:
    return {descriptor.id for descriptor in descriptors if group in descriptor.groups}


def _parse_requirement(
    value: Any, path: str, descriptors: tuple[InputDescriptor, ...], level: int
) -> Requirement:
    if level > MAX_NESTING:
        message = f"requirements nest at most {MAX_NESTING} levels"
        raise ExchangeError(ExchangeFault.NESTING_TOO_DEEP, message, path=path)
    members = Members(value, path, _REQUIREMENT)
    rule = members.text("rule")
    if rule not in ("all", "pick"):
        raise ExchangeError(ExchangeFault.UNKNOWN_RULE, "the rule is neither all nor pick", path=path)
    source, total = _parse_source(members, descriptors, level)
    members.optional_text("purpose")
    requirement = Requirement(
        source=source,
        pick=rule == "pick",
        count=members.optional_number("count", minimum=1),
        minimum=members.optional_number("min", minimum=0),
        maximum=members.optional_number("max", minimum=1),
        name=members.optional_text("name"),
    )
    _check_numbers(requirement, total, path)
    return requirement


def _parse_source(
    members: Members, descriptors: tuple[InputDescriptor, ...], level: int
) -> tuple[FromGroup | FromNested, int]:
    """The source of a requirement, and how many descriptors or requirements it has."""
    if ("from" in members) == ("from_nested" in members):
        message = "a requirement has either from or from_nested"
        raise ExchangeError(ExchangeFault.FROM_AMBIGUOUS, message, path=members.path)
    if "from" in members:
        group = members.text("from")
        total = len(_members_of(group, descriptors))
        if not total:
            message = "no descriptor is in the group"
            raise ExchangeError(ExchangeFault.UNKNOWN_GROUP, message, path=members.at("from"))
        return FromGroup(group), total
    items = members.items("from_nested", max_items=MAX_REQUIREMENTS)
    nested = tuple(_parse_requirement(item, path, descriptors, level + 1) for item, path in items)
    return FromNested(nested), len(nested)


def _check_numbers(requirement: Requirement, total: int, path: str) -> None:
    count, minimum, maximum = requirement.count, requirement.minimum, requirement.maximum
    numbers = [number for number in (count, minimum, maximum) if number is not None]
    if not requirement.pick:
        if numbers:
            raise ExchangeError(
                ExchangeFault.PICK_RANGE_INVALID, "the rule all goes with no number", path=path
            )
        return
    if not numbers:
        # Nothing would be asked for; who means that writes a minimum of 0.
        raise ExchangeError(ExchangeFault.PICK_UNBOUNDED, "a pick has count, min or max", path=path)
    if minimum is not None and maximum is not None and maximum <= minimum:
        raise ExchangeError(ExchangeFault.PICK_RANGE_INVALID, "max is greater than min", path=path)
    if max(count or 0, minimum or 0) > total:
        message = f"no more than {total} can be picked"
        raise ExchangeError(ExchangeFault.PICK_UNSATISFIABLE, message, path=path)
