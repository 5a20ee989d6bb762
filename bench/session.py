"""One run: start everything, measure round by round, stop everything."""

import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from bench import cases, empty_server, gateways, oidc_provider
from bench.certificates import ADMIN, CLIENT, RESOURCE, SERVER, Authority, Identity
from bench.connections import Kind
from bench.facts import NO_FACTS, Facts
from bench.generators import Generators, Window
from bench.report import Measurement, Plan, ServerFigures, document
from bench.servers import GrpcReadiness, Readiness, Server, free_port
from gateway.rpc.listeners import server_options
from gateway.settings.server import ServerSettings
from softhsm.provision import Provisioned

REST = 2.0
"""Seconds after the last server is ready before memory at rest is read."""


async def measure(plan: Plan) -> dict[str, Any]:
    """Carry out *plan* and return the figures. Raises `ServerError`, `GeneratorError`, `ReplyError`."""
    async with AsyncExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="countersign-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        authority = Authority(folder)
        identities = {name: authority.issue(name) for name in (SERVER, ADMIN, CLIENT, RESOURCE)}
        site = gateways.Site(folder, identities, plan.workers, plan.access_log)
        servers = await _start(plan.cases, site, stack)
        await asyncio.sleep(REST)
        rest = {name: server.rest_bytes() for name, server in servers.items()}
        facts = await _fill(plan.cases, servers, identities)
        generators = await stack.enter_async_context(Generators(plan.load))
        for case in plan.cases:
            await generators.prepare(
                case.name,
                address=_address(case, servers[case.server]),
                identity=identities[case.caller],
                method=case.method,
                requests=case.requests(facts[case.server]),
                kind=case.kind,
                target=case.target,
                watcher=identities[RESOURCE],
            )
        measured = await _rounds(plan, generators, servers, facts)
        figures = {
            name: ServerFigures(server.ready_seconds, rest[name], server.peak_bytes())
            for name, server in servers.items()
        }
    return document(plan, measured, figures)


async def _start(
    chosen: Sequence[cases.Case], site: gateways.Site, stack: AsyncExitStack
) -> dict[str, Server]:
    """Start what *chosen* needs, one after another: each has the machine to itself until it is ready."""
    names = list(dict.fromkeys(case.server for case in chosen))
    sources = [cases.GATEWAYS[name] for name in names if name in cases.GATEWAYS]
    hsm = gateways.provision_softhsm(site.folder / "softhsm") if any(s.softhsm for s in sources) else None
    servers = {}
    for name in names:
        _progress(f"starting: {name}")
        server, readiness = _describe(name, site, hsm)
        stack.push_async_callback(server.stop)
        await server.start(readiness, site.identities[CLIENT])
        servers[name] = server
    return servers


def _describe(name: str, site: gateways.Site, hsm: Provisioned | None) -> tuple[Server, Readiness]:
    if name == cases.EMPTY_SERVER:
        return _empty_server(site), GrpcReadiness(cases.EMPTY_METHOD, reply=b"")
    if name == cases.OIDC_PROVIDER:
        return oidc_provider.describe(name, site), oidc_provider.READY
    return gateways.describe(name, site, hsm), gateways.READY


def _address(case: cases.Case, server: Server) -> str:
    return server.https_address if case.kind is Kind.HTTPS else server.address


def _empty_server(site: gateways.Site) -> Server:
    port = free_port()
    identity = site.identities[SERVER]
    files = (identity.certificate, identity.private_key, identity.authority)
    settings = ServerSettings(
        certificate=identity.certificate,
        private_key=identity.private_key,
        client_ca=identity.authority,
        workers=site.workers,
        mtls_address=f"127.0.0.1:{port}",
    )
    options = json.dumps(server_options(settings))
    command = (sys.executable, "-m", empty_server.__name__, settings.mtls_address, options, *map(str, files))
    log = site.folder / "empty.log"
    return Server(cases.EMPTY_SERVER, f"localhost:{port}", [command] * site.workers, log)


async def _fill(
    chosen: Sequence[cases.Case], servers: Mapping[str, Server], identities: Mapping[str, Identity]
) -> dict[str, Facts]:
    introspecting = {case.server for case in chosen if case.caller == RESOURCE}
    facts = {cases.EMPTY_SERVER: NO_FACTS}
    for name, server in servers.items():
        if name == cases.OIDC_PROVIDER:
            facts[name] = await oidc_provider.facts(server, identities[CLIENT])
        elif name != cases.EMPTY_SERVER:
            _progress(f"filling: {name}")
            tokens = cases.TOKENS if name in introspecting else 0
            facts[name] = await gateways.fill(server, identities, tokens=tokens)
    return facts


async def _rounds(
    plan: Plan, generators: Generators, servers: Mapping[str, Server], facts: Mapping[str, Facts]
) -> dict[str, list[Measurement]]:
    measured: dict[str, list[Measurement]] = {case.name: [] for case in plan.cases}
    for case in plan.cases:
        if case.server == cases.OIDC_PROVIDER:
            # node compiles what runs often: a window that does not count, so that it is measured at its best.
            _progress(f"warming up: {case.title}")
            await _window(case, generators, servers[case.server])
    for number in range(1, plan.rounds + 1):
        for case in plan.cases:
            _progress(f"round {number} of {plan.rounds}: {case.title}")
            measurement = await _window(case, generators, servers[case.server])
            _check(case, measurement.window, facts[case.server])
            measured[case.name].append(measurement)
    _progress("")
    return measured


async def _window(case: cases.Case, generators: Generators, server: Server) -> Measurement:
    clock: list[float] = []

    def read_clock() -> None:
        clock.append(server.cpu_seconds())

    window = await generators.run(case.name, read_clock, read_clock)
    started, stopped = clock
    return Measurement(window, stopped - started)


def _check(case: cases.Case, window: Window, facts: Facts) -> None:
    for reply in window.replies:
        case.check(reply, facts)


def _progress(text: str) -> None:
    """Show *text* in place of the last one, where somebody is watching."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
