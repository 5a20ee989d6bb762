"""A gRPC server with the whole pipeline and both TLS listeners, whose methods do what a test tells them."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from countersign.v1 import key_service_pb2_grpc, token_service_pb2, token_service_pb2_grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from gateway.admission import Limits
from gateway.authorization import authorize
from gateway.callers import CallerDirectory, CertificatePrincipals
from gateway.client_roots import ClientRoots
from gateway.errors import AuthenticationError, Reason
from gateway.health import HealthMonitor, Probe
from gateway.limits.rate_limits import RateLimits, RateRule
from gateway.principal import Principal
from gateway.proofs.client_certificate import ClientCertificate
from gateway.request_callers import RequestCallers
from gateway.rpc.caller import CallerResolver
from gateway.rpc.pipeline import Pipeline
from gateway.rpc.server import GrpcServer
from gateway.settings.callers import CallerSettings
from gateway.settings.limits import LimitSettings
from gateway.settings.server import ServerSettings, TerminatorSettings
from gateway.telemetry.access_log import AccessRecord
from gateway.tls_files import TlsFiles
from gateway.tls_reload import TlsReloader
from tests.support.pki import Authority, Issued

MINT = "/countersign.v1.TokenService/MintToken"
JWKS = "/countersign.v1.TokenService/GetJwks"
LIST_KEYS = "/countersign.v1.KeyService/ListKeys"

Behavior = Callable[[Any, grpc.aio.ServicerContext], Awaitable[Any]]


class Records(list[AccessRecord]):
    """An access log that remembers."""

    def __init__(self) -> None:
        super().__init__()
        self._arrived = asyncio.Event()

    def record(self, record: AccessRecord) -> None:
        self.append(record)
        self._arrived.set()

    async def first(self) -> AccessRecord:
        """The first record, as soon as it is there."""
        async with asyncio.timeout(5):
            await self._arrived.wait()
        return self[0]


class Anchors:
    """Certificates that clients registered for themselves."""

    def __init__(self, *registered: Issued) -> None:
        self.certificates = [each.der for each in registered]
        self.number = 1
        self.fault: Exception | None = None

    def register(self, issued: Issued) -> None:
        self.certificates.append(issued.der)
        self.number += 1

    async def change_number(self) -> int:
        if self.fault is not None:
            raise self.fault
        return self.number

    async def self_signed_certificates(self) -> tuple[bytes, ...]:
        return tuple(self.certificates)


class Tokens:
    """Accepts the tokens of `principals` and refuses every other."""

    def __init__(self) -> None:
        self.principals: dict[tuple[str, str], Principal] = {}
        self.seen: list[ClientCertificate | None] = []

    async def authenticate(self, token: str, scheme: str, certificate: ClientCertificate | None) -> Principal:
        self.seen.append(certificate)
        try:
            return self.principals[scheme, token]
        except KeyError:
            raise AuthenticationError(Reason.INVALID_TOKEN, "no", cause="unknown") from None


class Programmable:
    """Servicers whose every method runs `behaviors[name]`, or answers with an empty message."""

    def __init__(self) -> None:
        self.behaviors: dict[str, Behavior] = {}

    def add_to(self, pipeline: Pipeline) -> None:
        for base, add in (
            (
                token_service_pb2_grpc.TokenServiceServicer,
                token_service_pb2_grpc.add_TokenServiceServicer_to_server,
            ),
            (key_service_pb2_grpc.KeyServiceServicer, key_service_pb2_grpc.add_KeyServiceServicer_to_server),
        ):
            names = [name for name in vars(base) if not name.startswith("_")]
            add(type("Servicer", (base,), {name: self._method(name) for name in names})(), pipeline)

    def _method(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def method(_self: object, request: Any, context: grpc.aio.ServicerContext) -> Any:
            if name in self.behaviors:
                return await self.behaviors[name](request, context)
            return token_service_pb2.MintTokenResponse()

        return method


@dataclass
class Running:
    """What a test needs of a running server."""

    server: GrpcServer
    pipeline: Pipeline
    health: HealthMonitor
    tls: TlsReloader
    roots: ClientRoots
    root: Authority
    anchors: Anchors
    tokens: Tokens
    records: Records
    methods: Programmable
    files: TlsFiles
    probes: Mapping[str, Probe]
    faults: list[Reason] = field(default_factory=list)

    def channel(
        self, client: Issued | None = None, *, options: Sequence[tuple[str, Any]] = ()
    ) -> grpc.aio.Channel:
        """A new connection: to the mutual-TLS port as *client*, or to the TLS port as nobody."""
        port = self.server.ports.tls if client is None else self.server.ports.mtls
        credentials = grpc.ssl_channel_credentials(
            self.root.pem,
            None if client is None else client.key_pem,
            None if client is None else client.chain_pem,
        )
        # One subchannel for each channel, so that "a new connection" is one.
        options = (("grpc.use_local_subchannel_pool", 1), *options)
        return grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options=options)

    async def call(
        self,
        method: str = MINT,
        client: Issued | None = None,
        *,
        request: bytes = b"",
        metadata: Sequence[tuple[str, str]] = (),
        timeout: float | None = 10,  # noqa: ASYNC109 - gRPC's own deadline is what is tested
    ) -> grpc.aio.UnaryUnaryCall:
        """One call on a connection of its own. Raises `grpc.aio.AioRpcError`."""
        async with self.channel(client) as channel:
            call = channel.unary_unary(method)(request, timeout=timeout, metadata=tuple(metadata))
            await call
            return call


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """The reason in the ErrorInfo that a real client sees; empty where there is none."""
    info = details_of(error).get("ErrorInfo")
    return "" if info is None else info.reason


def details_of(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    """The details of a status, by the names of their types."""
    status = rpc_status.from_call(error)
    found: dict[str, Any] = {}
    for packed in () if status is None else status.details:
        for kind in (
            error_details_pb2.ErrorInfo,
            error_details_pb2.BadRequest,
            error_details_pb2.RetryInfo,
        ):
            if packed.Is(kind.DESCRIPTOR):
                message = kind()
                packed.Unpack(message)
                found[kind.DESCRIPTOR.name] = message
    return found


@asynccontextmanager
async def serving(
    folder: Path,
    *,
    root: Authority | None = None,
    callers: Sequence[CallerSettings] = (),
    terminator: TerminatorSettings | None = None,
    anchors: Anchors | None = None,
    probes: Mapping[str, Probe] | None = None,
    services: Mapping[str, frozenset[str]] | None = None,
    resources: Sequence[Callable[[], Awaitable[None]]] = (),
    limits: LimitSettings | None = None,
    rules: Sequence[RateRule] = (),
    **settings: Any,
) -> AsyncIterator[Running]:
    """Serve on free ports until the end of the block, which drains. *settings* are those of the server."""
    root = root or Authority.root()
    certificate, key = root.server().write(folder, "server")
    client_ca = folder / "client_ca.pem"
    client_ca.write_bytes(root.pem)
    configuration = ServerSettings(
        **{
            "tls_address": "127.0.0.1:0",
            "mtls_address": "127.0.0.1:0",
            "certificate": certificate,
            "private_key": key,
            "client_ca": client_ca,
            "tls_reload_interval": 0.05,
            "drain_timeout": 5.0,
            **settings,
        }
    )
    roots = ClientRoots(root.pem)
    tokens, records, methods, faults = Tokens(), Records(), Programmable(), list[Reason]()
    principals = CertificatePrincipals(roots=roots, directory=CallerDirectory(callers), clock=time.time)
    pipeline = Pipeline(
        limits=Limits.of(configuration, limits),
        rate_limits=RateLimits(rules),
        callers=CallerResolver(
            RequestCallers(
                principals=principals, tokens=tokens, terminator=terminator or TerminatorSettings()
            )
        ),
        authorize=authorize,
        access_log=records,
        on_server_fault=faults.append,
    )
    methods.add_to(pipeline)
    probes = probes or {}
    health = HealthMonitor(probes=probes, services=services or {}, interval=60, timeout=1)
    files = TlsFiles(certificate, key, client_ca)
    anchors = anchors or Anchors()
    tls = TlsReloader(files=files, roots=roots, registered=anchors, clock=time.time)
    server = GrpcServer(
        settings=configuration, pipeline=pipeline, health=health, tls=tls, resources=resources
    )
    async with server:
        yield Running(
            server,
            pipeline,
            health,
            tls,
            roots,
            root,
            anchors,
            tokens,
            records,
            methods,
            files,
            probes,
            faults,
        )
