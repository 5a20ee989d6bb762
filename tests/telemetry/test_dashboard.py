"""The dashboard and the alert rules ask for what a gateway really has."""

import asyncio
import json
import re
import shutil
import subprocess
from dataclasses import replace

import pytest
import pytest_asyncio
import yaml
from countersign import CountersignError

from bench.dashboard_queries import DASHBOARD, panels
from gateway.settings.keys import KeySettings
from gateway.telemetry.families import FAMILIES
from tests.support.development import ROOT
from tests.support.edge import TOKEN, Edge, free_ports, leaf, register
from tests.support.gateway import make_key, prepare, running_gateway
from tests.support.prometheus import running_prometheus

IN_ONE_LOOP = pytest.mark.asyncio(loop_scope="module")

ALERTS = DASHBOARD.with_name("alerts.yml")
ALERTS_TEST = ROOT / "tests" / "telemetry" / "alerts_test.yml"
OF_THE_CLIENT = {
    "process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_max_fds",
}  # fmt: skip
"""Families of the Prometheus client that a query may name."""
OF_PROMETHEUS = {"job", "instance", "le"}
_NAME = re.compile(r"\b(?:countersign|process)_\w+")
_SELECTOR = re.compile(r"\b((?:countersign|process)_\w+)({[^}]*})?")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"")
_BY = re.compile(r"\bby\s*\(([^)]*)\)")


def expressions():
    """Every query of the dashboard, and every expression of an alert, by its place."""
    found = {
        f"{panel.title} {number}": query.expression
        for panel in panels()
        for number, query in enumerate(panel.queries)
    }
    rules = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))
    return found | {rule["alert"]: rule["expr"] for group in rules["groups"] for rule in group["rules"]}


EXPRESSIONS = expressions()
SAMPLES = {
    family.name + suffix: {*family.labels, *OF_PROMETHEUS}
    for family in FAMILIES
    for suffix in (("_bucket", "_sum", "_count") if family.kind == "histogram" else ("",))
} | dict.fromkeys(OF_THE_CLIENT, OF_PROMETHEUS)


@pytest.mark.parametrize("place", EXPRESSIONS)
def test_names_and_labels_exist(place):
    """Each metric of a query is one of ours, with the labels that the query matches or groups by."""
    expression = EXPRESSIONS[place]
    names = set(_NAME.findall(re.sub(r'"[^"]*"', "", expression)))
    assert names or place == "CountersignDown"
    assert names <= SAMPLES.keys()
    for name, selector in _SELECTOR.findall(expression):
        assert set(_MATCHER.findall(selector)) <= SAMPLES[name]
    grouped = {label.strip() for labels in _BY.findall(expression) for label in labels.split(",")}
    assert grouped <= set().union(*(SAMPLES[name] for name in names))


def test_every_family_is_shown_or_watched():
    """Nothing is measured that nobody looks at."""
    asked = " ".join(EXPRESSIONS.values())
    assert {family.name for family in FAMILIES if family.name not in asked} <= {"countersign_draining"}


def test_the_rules_pass_promtool():
    """Prometheus' own check of the rules."""
    promtool("check", "rules", str(ALERTS))


def test_each_alert_fires_for_its_case_alone():
    """Series that are wrong in one way each, and what fires then, by Prometheus' own test runner."""
    promtool("test", "rules", str(ALERTS_TEST))
    tried = {case["alertname"] for test in load(ALERTS_TEST)["tests"] for case in test["alert_rule_test"]}
    assert tried == {rule["alert"] for group in load(ALERTS)["groups"] for rule in group["rules"]}


def load(file):
    """A document of YAML."""
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def promtool(*arguments):
    """Run it; what it says is the failure."""
    program = shutil.which("promtool")
    assert program is not None, "Run .ci/need-prometheus."
    ran = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_dashboard_is_one_of_grafana():
    """The members that an import needs; ids and places are unique, and the data source is a variable."""
    document = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    assert (document["uid"], document["schemaVersion"]) == ("countersign", 42)
    shown = document["panels"]
    assert len({each["id"] for each in shown}) == len(shown)
    cells = [
        (each["gridPos"]["x"] + x, each["gridPos"]["y"] + y)
        for each in shown
        for x in range(each["gridPos"]["w"])
        for y in range(each["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert all(x < 24 for x, _ in cells)
    for each in shown:
        if each["type"] != "row":
            assert each["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert [each["name"] for each in document["templating"]["list"]] == ["datasource", "job", "instance"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def prometheus(tmp_path_factory):
    """A Prometheus that has scraped a gateway which was called in several ways."""
    folder = tmp_path_factory.mktemp("scraped")
    port, own = free_ports(2)
    address = f"127.0.0.1:{port}"
    prepared = await prepare(
        folder / "gateway",
        key_uri="softhsm",
        metrics={"enabled": True, "address": address},
        audit={"enabled": True, "checkpoint_interval": 1},
    )
    prepared = with_audit_key(prepared)
    with running_prometheus(folder / "prometheus", own, [address], rules=ALERTS) as server:
        async with running_gateway(folder / "gateway", prepared=prepared) as gateway:
            async with gateway.client(gateway.admin) as admin:
                await register(admin, "backend")
            for _ in range(3):
                await call(gateway)
                await scraped_again(server)
            yield server


def with_audit_key(prepared):
    """The same, with a key in a file that signs checkpoints."""
    key = {"purpose": "audit", "algorithm": "ES256", "uri": make_key(prepared.folder, "audit")}
    settings = prepared.settings
    keys = (*settings.keys, KeySettings.model_validate(key))
    return replace(prepared, settings=settings.model_copy(update={"keys": keys}))


async def call(gateway):
    """Calls that succeed and that fail, through both doors."""
    async with gateway.client(leaf(gateway, "backend")) as backend:
        token = (await backend.mint_token("backend", scope=["read"])).value
        await backend.revoke_token(token, client_id="backend")
        with pytest.raises(CountersignError):
            await backend.introspect_token(token)
    await Edge(gateway).post(TOKEN, data={"grant_type": "client_credentials"})


async def scraped_again(server):
    """Wait until Prometheus has looked twice more."""
    for _ in range(2):
        before = await scrapes(server)
        async with asyncio.timeout(30):
            while await scrapes(server) <= before:  # noqa: ASYNC110 - a server of somebody else
                await asyncio.sleep(0.05)


async def scrapes(server):
    """How often it has looked."""

    def ask():
        found = server._ask("query", {"query": 'count_over_time(up{job="countersign"}[1h])'})["result"]
        return float(found[0]["value"][1]) if found else 0.0

    return await asyncio.to_thread(ask)


@IN_ONE_LOOP
async def test_every_query_has_an_answer(prometheus):
    """Prometheus takes each query, and has series for all panels but those of what did not happen."""
    empty = set()
    for panel in panels():
        for query in panel.queries:
            found = await asyncio.to_thread(prometheus.now, query, rate_interval="30s")
            if not found:
                empty.add((panel.title, query.legend))
    alright = {
        ("Statements that failed", "{{statement}} {{reason}}"),
        ("Signatures not made", "{{backend}} {{error}}"),
        ("Waiting for a backend", "{{provider}} budget left"),
        ("Connections and waits", "{{instance}} {{state}}"),
        ("Connections and waits", "limit"),
        ("Rows purged", "{{table}}"),
        ("Shed and limited", "{{reason}}"),
        ("Spans", "{{result}}"),
    }
    assert empty <= alright


@IN_ONE_LOOP
async def test_every_metric_was_scraped(prometheus):
    """Each family that has samples where all is well is in Prometheus, by its name in the table."""
    names = await asyncio.to_thread(prometheus.names)
    absent = {
        family.name
        for family in FAMILIES
        if family.name + ("_count" if family.kind == "histogram" else "") not in names
    }
    assert absent == {
        "countersign_trace_spans_total",
        "countersign_database_errors_total",
        "countersign_database_connections",
        "countersign_purged_rows_total",
        "countersign_signature_errors_total",
        "countersign_key_sign_until_seconds",
        "countersign_signer_budget_left",
    }


@IN_ONE_LOOP
async def test_no_alert_fires_where_all_is_well(prometheus):
    """The rules are loaded by a real Prometheus, evaluated, and silent."""
    groups = (await asyncio.to_thread(prometheus._ask, "rules", {}))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert rules
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
    assert [rule["name"] for rule in rules if rule["state"] == "firing"] == []
