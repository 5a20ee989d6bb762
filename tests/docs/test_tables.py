"""The tables in docs/ agree with the code."""

import re

from gateway.presentations.verified_employee import LIMITS
from tests.docs import tables


def test_operations_lists_every_field_of_the_configuration():
    """docs/operations.md has each field with its default and meaning, as the settings classes state them."""
    document = (tables.DOCS / "operations.md").read_text(encoding="utf-8")

    assert document == tables.replaced(document, "fields", tables.fields())


def test_errors_lists_every_reason_with_its_code():
    """docs/errors.md has one row for each reason, with the gRPC code that callers get."""
    document = (tables.DOCS / "errors.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([A-Z_]+) \| ([A-Z_]+) \|", document, re.MULTILINE))

    assert tables.codes() == rows


def test_oauth_lists_every_error_with_its_status():
    """docs/oauth.md has each reason with the status and the error that OAuth clients get."""
    document = (tables.DOCS / "oauth.md").read_text(encoding="utf-8")

    assert document == tables.replaced(document, "oauth", tables.oauth())


def test_observability_lists_every_metric():
    """docs/observability.md has each metric with its type, its labels and what it means."""
    document = (tables.DOCS / "observability.md").read_text(encoding="utf-8")

    assert document == tables.replaced(document, "metrics", tables.metrics())


def test_observability_says_what_to_do_for_every_alert():
    """docs/observability.md has a section for each alert rule, in the order of the rules."""
    document = (tables.DOCS / "observability.md").read_text(encoding="utf-8")

    assert tables.alerts() == re.findall(r"^#### (\w+)$", document, re.MULTILINE)


def test_presentations_lists_every_check_with_its_rule():
    """docs/presentations.md has one row for each check code, in the order applied, with the rule's clause."""
    document = (tables.DOCS / "presentations.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| .+ \| ([^|]+) \|$", document, re.MULTILINE)

    assert tables.checks() == rows


def test_presentations_lists_every_claim_of_an_employee():
    """docs/presentations.md has each claim of a VerifiedEmployee with its bound."""
    document = (tables.DOCS / "presentations.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\d*) ?\|$", document, re.MULTILINE)

    assert {name: int(bound) if bound else None for name, bound in rows} == dict(LIMITS)


def test_dids_lists_every_code_with_its_clause():
    """docs/dids.md has each fault of DIDs with its outcome and clause, and each of linked domains."""
    document = (tables.DOCS / "dids.md").read_text(encoding="utf-8")
    section = document.partition("## Codes of DIDs")[2]
    dids, _, linkage = section.partition("## Codes of linked domains")

    assert tables.did_codes() == re.findall(r"^\| `(\w+)` \| `(\w+)` \| ([^|]+) \|$", dids, re.MULTILINE)
    assert tables.linkage_codes() == re.findall(r"^\| `(\w+)` \| ([^|]+) \|$", linkage, re.MULTILINE)
