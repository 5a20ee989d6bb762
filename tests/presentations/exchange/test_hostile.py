"""Hostile definitions, submissions and credentials: bounded in steps, never accepted, never an exception."""

import pytest

from gateway.presentations.exchange import ExchangeError, ExchangeFault, parse_definition, parse_submission

REDOS = ["(a+)+$", "(a|a)*$", "(a|aa)+$", "^(([a-z])+.)+[A-Z]([a-z])+$", "(.*)*x", "(?:a?){30}a{30}"]


class TestWork:
    @pytest.mark.parametrize("pattern", REDOS)
    def test_patterns_that_explode_elsewhere_answer(self, exchange, refused, pattern):
        """A pattern that takes a backtracking engine for ever answers at once, with the truth."""
        exchange.payloads[0]["vc"]["credentialSubject"]["name"] = "a" * 40 + "!"
        field = {"path": ["$.vc.credentialSubject.name"], "filter": {"pattern": f"{pattern}Z"}}
        exchange.definition["input_descriptors"][0]["constraints"]["fields"] = [field]
        refused(exchange.report(), "pe_field_filter")

    def test_a_budget_that_runs_out_is_refused(self, exchange, refused):
        """An evaluation that was given up is not accepted, and says so."""
        exchange.ask({"path": ["$..[?@..[?@..no]]"]})
        exchange.payloads[0]["vc"]["credentialSubject"]["list"] = [[n] for n in range(500)]
        exchange.max_steps = 1000
        refused(exchange.report(), "pe_work_bounded")

    def test_many_descriptors_share_one_budget(self, exchange, refused):
        """A bound holds for the whole evaluation and not for each part of it."""
        exchange.payloads[0]["vc"]["credentialSubject"]["list"] = [[n] * 5 for n in range(1000)]
        exchange.ask(*({"path": ["$..[?@.a == $.b]['no']"], "optional": True} for _ in range(60)))
        refused(exchange.report(), "pe_work_bounded")

    def test_a_deep_credential_is_refused(self, exchange, refused):
        """A credential deeper than the bound is not looked at."""
        deep = {}
        for _ in range(5000):
            deep = {"a": deep}
        exchange.payloads[0]["vc"]["credentialSubject"] = deep
        refused(exchange.report(), "pe_work_bounded")

    def test_a_credential_with_too_many_values_is_refused(self, exchange, refused):
        """A credential of 10 MB of values is not looked at."""
        exchange.payloads[0]["vc"]["credentialSubject"]["list"] = [0] * 5_000_000
        refused(exchange.report(), "pe_work_bounded")

    def test_a_text_of_10_mb_is_not_searched(self, exchange, refused):
        """A pattern is not applied to a text of any length."""
        exchange.payloads[0]["vc"]["credentialSubject"]["name"] = "a" * 10_000_000
        exchange.ask({"path": ["$.vc.credentialSubject.name"], "filter": {"pattern": "a"}})
        refused(exchange.report(), "pe_work_bounded")

    def test_a_number_of_thousands_of_digits_is_refused(self, exchange, refused):
        """A number that nobody needs is not computed with."""
        exchange.payloads[0]["vc"]["credentialSubject"]["age"] = 10**5000
        refused(exchange.report(), "pe_work_bounded")

    def test_half_a_surrogate_pair_is_refused(self, exchange, refused):
        """A text that is not Unicode is no JSON."""
        exchange.payloads[0]["vc"]["credentialSubject"]["name"] = "\ud800"
        refused(exchange.report(), "pe_work_bounded")

    def test_an_array_of_tokens_is_bounded(self, exchange, refused):
        """More credentials than the bound are refused before any of them is looked at."""
        exchange.payloads *= 65
        refused(exchange.report(), "pe_work_bounded")


class TestDocuments:
    @pytest.mark.parametrize("parse", [parse_definition, parse_submission])
    def test_a_deep_document_is_refused(self, parse):
        """A document of 100,000 levels is refused without recursion."""
        deep = []
        for _ in range(100_000):
            deep = [deep]
        with pytest.raises(ExchangeError) as caught:
            parse({"id": "x", "input_descriptors": deep, "descriptor_map": deep})
        assert caught.value.code is ExchangeFault.TOO_DEEP

    @pytest.mark.parametrize("parse", [parse_definition, parse_submission])
    def test_a_wide_document_is_refused(self, parse):
        """A document of a million values is refused."""
        with pytest.raises(ExchangeError) as caught:
            parse({"id": "x", "input_descriptors": [0] * 1_000_000, "descriptor_map": []})
        assert caught.value.code is ExchangeFault.TOO_LARGE

    @pytest.mark.parametrize("parse", [parse_definition, parse_submission])
    @pytest.mark.parametrize("value", [float("nan"), float("inf"), b"x", {1: 2}, object()])
    def test_what_is_no_json_is_refused(self, parse, value):
        """A value that no JSON text can carry is refused."""
        with pytest.raises(ExchangeError) as caught:
            parse({"id": "x", "input_descriptors": [value], "descriptor_map": [value]})
        assert caught.value.code is ExchangeFault.INVALID_JSON
