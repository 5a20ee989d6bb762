"""gateway.presentations.exchange.requirements: all and pick, counts and ranges, nesting."""

import pytest

from gateway.presentations.exchange import ExchangeError, ExchangeFault, parse_definition


def grouped(exchange, groups, *requirements):
    """Descriptors a, b, c... in these groups, all submitted, under these requirements."""
    exchange.descriptor["group"] = list(groups[0])
    for name, each in zip("bcdefg", groups[1:], strict=False):
        exchange.add(name, group=list(each))
    exchange.definition["submission_requirements"] = list(requirements)
    return exchange


def submit(exchange, names):
    entries = exchange.submission["descriptor_map"]
    exchange.submission["descriptor_map"] = [entry for entry in entries if entry["id"] in names]
    return exchange


def pick(source="A", **numbers):
    return {"rule": "pick", "from": source, **numbers}


ALL_A = {"rule": "all", "from": "A"}
ALL_B = {"rule": "all", "from": "B"}
NESTED = {"rule": "pick", "count": 1, "from_nested": [ALL_A, pick("B", count=2)]}


class TestSatisfied:
    @pytest.mark.parametrize(
        ("groups", "requirement", "submitted"),
        [
            ("AA", ALL_A, "ab"),
            ("AAB", ALL_A, "ab"),
            ("AA", pick(count=1), "a"),
            ("AA", pick(count=1), "b"),
            ("AAA", pick(min=1), "bc"),
            ("AAA", pick(min=0), "a"),
            ("AAA", pick(max=2), "ab"),
            ("AAA", pick(min=1, max=2), "b"),
            ("AABB", NESTED, "ab"),
            ("AABB", NESTED, "cd"),
            ("AB", {"rule": "all", "from_nested": [ALL_A, ALL_B]}, "ab"),
            ("AB", {"rule": "pick", "min": 1, "from_nested": [ALL_A, ALL_B]}, "b"),
        ],
    )
    def test_a_requirement_is_satisfied(self, exchange, groups, requirement, submitted):
        """What was submitted is what the requirement asks for."""
        assert submit(grouped(exchange, groups, requirement), submitted).report().accepted

    @pytest.mark.parametrize(
        ("groups", "requirement", "submitted"),
        [
            ("AA", ALL_A, "a"),
            ("AA", pick(count=1), "ab"),
            ("AAA", pick(count=2), "a"),
            ("AAA", pick(min=2), "a"),
            ("AAA", pick(max=2), "abc"),
            ("AAA", pick(min=1, max=2), "abc"),
            ("AABB", NESTED, "ac"),
            ("AABB", NESTED, "abcd"),
            ("AB", {"rule": "all", "from_nested": [ALL_A, ALL_B]}, "a"),
        ],
    )
    def test_a_requirement_is_not_satisfied(self, exchange, refused, groups, requirement, submitted):
        """Too few, too many or the wrong ones do not satisfy it."""
        report = submit(grouped(exchange, groups, requirement), submitted).report()
        refused(report, "pe_submission_requirement")

    def test_all_requirements_must_be_satisfied(self, exchange, refused):
        """One satisfied requirement does not make up for another."""
        submit(grouped(exchange, "AB", ALL_A, ALL_B), "a")
        refused(exchange.report(), "pe_submission_requirement")

    def test_a_descriptor_that_fails_does_not_count(self, exchange, refused):
        """A submitted credential that does not satisfy its descriptor satisfies no requirement."""
        grouped(exchange, "AA", pick(min=2))
        exchange.ask({"path": ["$.nothing"]})
        refused(exchange.report(), "pe_field_present", "pe_submission_requirement")

    @pytest.mark.parametrize("numbers", [{"count": 1}, {"max": 1}])
    def test_one_too_many_is_refused_even_where_it_fails(self, exchange, refused, numbers):
        """What was submitted counts against an upper bound, whether it holds or not."""
        grouped(exchange, "AA", pick(**numbers))
        exchange.ask({"path": ["$.nothing"]})
        refused(exchange.report(), "pe_field_present", "pe_submission_requirement")

    def test_a_descriptor_may_be_in_two_groups(self, exchange):
        """A descriptor counts in each of its groups."""
        grouped(exchange, ["AB", "B"], ALL_A, pick("B", count=1))
        assert submit(exchange, "a").report().accepted


class TestRefused:
    @pytest.mark.parametrize(
        ("requirement", "code"),
        [
            ({"rule": "some", "from": "A"}, ExchangeFault.UNKNOWN_RULE),
            ({"rule": "all", "from": "A", "from_nested": [ALL_A]}, ExchangeFault.FROM_AMBIGUOUS),
            ({"rule": "all"}, ExchangeFault.FROM_AMBIGUOUS),
            ({"rule": "all", "from": "Z"}, ExchangeFault.UNKNOWN_GROUP),
            ({"rule": "all", "from": "A", "count": 1}, ExchangeFault.PICK_RANGE_INVALID),
            (pick(), ExchangeFault.PICK_UNBOUNDED),
            (pick(min=1, max=1), ExchangeFault.PICK_RANGE_INVALID),
            (pick(count=3), ExchangeFault.PICK_UNSATISFIABLE),
            (pick(min=3), ExchangeFault.PICK_UNSATISFIABLE),
            (pick(count=0), ExchangeFault.INVALID_MEMBER),
            (pick(max=0), ExchangeFault.INVALID_MEMBER),
            (pick(min=-1), ExchangeFault.INVALID_MEMBER),
            (pick(count=True), ExchangeFault.INVALID_MEMBER),
            (pick(count=1, counts=1), ExchangeFault.UNKNOWN_MEMBER),
            ({"rule": "all", "from_nested": []}, ExchangeFault.INVALID_MEMBER),
        ],
    )
    def test_a_requirement_that_cannot_be_meant_is_refused(self, exchange, requirement, code):
        """A requirement is refused when it is read, by its code."""
        grouped(exchange, "AA", requirement)
        with pytest.raises(ExchangeError) as caught:
            parse_definition(exchange.definition)
        assert caught.value.code is code

    def test_every_descriptor_must_be_grouped(self, exchange):
        """With requirements, a descriptor without group could never count."""
        grouped(exchange, "AA", ALL_A)
        del exchange.definition["input_descriptors"][1]["group"]
        with pytest.raises(ExchangeError) as caught:
            parse_definition(exchange.definition)
        assert caught.value.code is ExchangeFault.DESCRIPTOR_NOT_GROUPED

    def test_nesting_is_bounded(self, exchange):
        """Requirements nest at most four levels."""
        requirement = ALL_A
        for _ in range(4):
            requirement = {"rule": "all", "from_nested": [requirement]}
        grouped(exchange, "A", requirement)
        with pytest.raises(ExchangeError) as caught:
            parse_definition(exchange.definition)
        assert caught.value.code is ExchangeFault.NESTING_TOO_DEEP
