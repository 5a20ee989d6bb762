"""The composition root of a worker: configuration -> use cases -> servicers -> listeners.

Opened in this order and closed in reverse, so that nothing is closed while a call may still need it:
application (signers, database, keyring), then the gRPC server with health and certificate reload.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Final, Protocol

from countersign.v1 import (
    audit_service_pb2_grpc,
    authorization_service_pb2_grpc,
    client_service_pb2_grpc,
    enrollment_service_pb2_grpc,
    introspection_service_pb2_grpc,
    key_service_pb2_grpc,
    presentation_service_pb2_grpc,
    token_service_pb2_grpc,
)

from gateway.admission import Limits
from gateway.application import Application, load_roots, open_application
from gateway.authorization import authorize
from gateway.callers import CallerDirectory, CertificatePrincipals
from gateway.client_roots import ClientRoots
from gateway.clock import Clock, system_clock
from gateway.config import Settings
from gateway.edge.acme_routes import acme_routes
from gateway.edge.authorization import PushedRequestEndpoint
from gateway.edge.authorize import login_routes
from gateway.edge.client_tokens import client_token_routes
from gateway.edge.exchange import Route
from gateway.edge.introspection import IntrospectionEndpoint
from gateway.edge.pipeline import EdgePipeline
from gateway.edge.routes import health_routes, metadata_routes, oauth_routes
from gateway.edge.server import EdgeServer
from gateway.edge.token import RevocationEndpoint, TokenEndpoint
from gateway.edge.tracing import traced as traced_request
from gateway.edge.well_known import JwksEndpoint, MetadataEndpoint, health_endpoints
from gateway.fetching import GuardedClient
from gateway.health import HealthMonitor
from gateway.keys.model import KeyPurpose
from gateway.ports import Ports
from gateway.principal import Principal
from gateway.request_callers import RequestCallers
from gateway.rpc.audit_service import AuditService
from gateway.rpc.authorization_service import AuthorizationService
from gateway.rpc.caller import CallerResolver
from gateway.rpc.client_service import ClientService
from gateway.rpc.enrollment_service import EnrollmentService
from gateway.rpc.introspection_service import IntrospectionService
from gateway.rpc.key_service import KeyService
from gateway.rpc.pipeline import Pipeline
from gateway.rpc.server import GrpcServer
from gateway.rpc.token_service import TokenService
from gateway.rpc.tracing import traced as traced_call
from gateway.rpc.tracing import untraced
from gateway.telemetry.access_log import AccessLog
from gateway.telemetry.audit import AuditLog
from gateway.telemetry.caller import current_caller
from gateway.telemetry.logs import LogWriter
from gateway.telemetry.spans import Tracer
from gateway.tls_files import TlsFiles
from gateway.tls_reload import TlsReloader
from gateway.wiring.audit import refusal_recorder
from gateway.wiring.limits import rate_limits_of
from gateway.wiring.observation import Observation, observing
from gateway.worker_link import WorkerIdentity
from signers import SignerUnavailableError

_DATABASE: Final = "database"
_SIGNERS: Final = "signers"
_SERVICES: Final = {
    "countersign.v1.TokenService": frozenset({_DATABASE, _SIGNERS}),
    "countersign.v1.AuthorizationService": frozenset({_DATABASE}),
    "countersign.v1.IntrospectionService": frozenset({_DATABASE}),
    "countersign.v1.EnrollmentService": frozenset({_DATABASE, _SIGNERS}),
    "countersign.v1.PresentationService": frozenset({_DATABASE, _SIGNERS}),
    "countersign.v1.KeyService": frozenset({_DATABASE}),
    "countersign.v1.ClientService": frozenset({_DATABASE}),
    "countersign.v1.AuditService": frozenset({_DATABASE}),
}


class Neighbors(Protocol):
    """The other workers of this machine: `gateway.worker_link.SupervisorLink`."""

    def revoked(self) -> None:
        """Tell them that something was revoked here."""
        ...

    def listen(self, on_revoked: Callable[[], None]) -> None:
        """Call *on_revoked* when one of them tells the same."""
        ...


@asynccontextmanager
async def open_server(
    settings: Settings,
    access_log: AccessLog,
    *,
    audit: AuditLog | None = None,
    neighbors: Neighbors | None = None,
    guarded_client: Callable[..., GuardedClient] | None = None,
    clock: Clock = system_clock,
    worker: WorkerIdentity = WorkerIdentity(),  # noqa: B008 - frozen
) -> AsyncIterator[GrpcServer]:
    """A serving worker; leaving the context drains it. *audit* is told of every signature,
    *neighbors* of every revocation; *guarded_client* is called in place of `GuardedClient`. *worker* is for
    its metrics.

    Raises whatever must stop the start: `ConfigurationError`, `SignerError`, `StoreError`, `TlsFileError`,
    `ListenError`, `PkiError`, `AvailabilityError`.
    """
    roots = load_roots(settings)
    async with (
        observing(settings, access_log, clock=clock, worker=worker) as observation,
        open_application(
            settings,
            roots,
            clock=clock,
            audit=audit,
            guarded_client=guarded_client,
            times=observation.times,
            around_feed=observation.feed,
        ) as application,
        application.rotator,
        application.checkpointer or nullcontext(),
        refusal_recorder(settings, observation.refusals, application.trail),
    ):
        server = _grpc_server(settings, application, roots, observation, clock)
        async with observation.serving(application, server), server:
            if neighbors is not None:
                application.feed.listen(neighbors.revoked)
                neighbors.listen(application.feed.wake)
            yield server


async def run_worker(
    settings: Settings,
    log: LogWriter,
    *,
    ready: Callable[[GrpcServer, Ports], None],
    stop: asyncio.Event,
    neighbors: Neighbors | None = None,
    worker: WorkerIdentity = WorkerIdentity(),  # noqa: B008 - frozen
) -> None:
    """Serve until *stop* is set, then drain. *ready* is called once calls are taken."""
    async with open_server(settings, log, audit=log, neighbors=neighbors, worker=worker) as server:
        ready(server, server.ports)
        await server.serve_until(stop)


def _grpc_server(
    settings: Settings, application: Application, roots: ClientRoots, observation: Observation, clock: Clock
) -> GrpcServer:
    health = HealthMonitor(
        probes={
            _DATABASE: application.store.check_writable,
            _SIGNERS: lambda: _check_signers(settings, application),
        },
        services=_SERVICES,
        interval=settings.health.interval,
        timeout=settings.health.timeout,
    )
    principals = CertificatePrincipals(roots=roots, directory=CallerDirectory(settings.callers), clock=clock)
    callers = RequestCallers(
        principals=principals, tokens=application.callers, terminator=settings.terminator
    )
    pipeline = Pipeline(
        limits=Limits.of(settings.server, settings.limits),
        rate_limits=rate_limits_of(settings),
        callers=CallerResolver(callers),
        authorize=_authorize,
        access_log=observation.access_log,
        on_server_fault=lambda _: health.nudge(),
        around=untraced if observation.tracer is None else traced_call(observation.tracer),
    )
    _add_services(settings, application, pipeline, clock)
    files = TlsFiles(
        certificate=settings.path(settings.server.certificate),
        private_key=settings.path(settings.server.private_key),
        client_ca=settings.path(settings.server.client_ca),
    )
    tls = TlsReloader(files=files, roots=roots, registered=application.store.clients, clock=clock)
    return GrpcServer(
        settings=settings.server,
        pipeline=pipeline,
        health=health,
        tls=tls,
        edge=_edge(settings, application, pipeline, callers, health, observation.tracer),
    )


def _authorize(method: str, principal: Principal) -> None:
    """Both doors come here once for each call, on the call's own task: the audit log learns who calls."""
    current_caller.set(principal.name)
    authorize(method, principal)


def _edge(
    settings: Settings,
    application: Application,
    pipeline: Pipeline,
    callers: RequestCallers,
    health: HealthMonitor,
    tracer: Tracer | None,
) -> EdgeServer:
    """The HTTPS edge, with the callers, the limits and the log of *pipeline*."""
    max_age = settings.tokens.jwks_max_age
    routes = [
        *oauth_routes(
            token=TokenEndpoint(application.minter, application.dpop),
            introspection=IntrospectionEndpoint(
                application.introspector, application.signing_introspector, settings.compatibility
            ),
            revocation=RevocationEndpoint(application.revoker),
            pushed_request=PushedRequestEndpoint(application.authorizations, application.dpop),
            jwks=JwksEndpoint(application.keyring, max_age),
        ),
        *login_routes(application.login, settings.tokens.issuer),
        *acme_routes(application.enrollment),
        *client_token_routes(application.client_tokens),
        *_presentation_routes(settings, application),
        *metadata_routes(settings.tokens.issuer, MetadataEndpoint(application.metadata, max_age)),
        *health_routes(*health_endpoints(health)),
    ]
    return EdgeServer(
        settings=settings.server,
        callers=callers,
        application=traced_request(
            EdgePipeline(
                routes=routes,
                limits=pipeline.limits,
                admission=pipeline.admission,
                rate_limits=pipeline.rate_limits,
                callers=callers,
                authorize=pipeline.authorize,
                access_log=pipeline.access_log,
                request_timeout=settings.server.https_request_timeout,
                dpop_algorithms=settings.tokens.dpop_algorithms,
                on_server_fault=pipeline.on_server_fault,
            ),
            tracer,
        ),
    )


def _presentation_routes(settings: Settings, application: Application) -> list[Route]:
    if application.presentations is None:
        return []
    # What it imports comes with the extra `presentations`.
    from gateway.edge.presentation_routes import presentation_routes  # noqa: PLC0415

    return presentation_routes(
        application.presentations,
        public_url=settings.public_url,
        max_age=settings.tokens.jwks_max_age,
        deadline=settings.presentations.deadline,
        demo_page=settings.presentations.demo_page,
    )


def _add_services(settings: Settings, application: Application, pipeline: Pipeline, clock: Clock) -> None:
    token_service_pb2_grpc.add_TokenServiceServicer_to_server(
        TokenService(
            minter=application.minter,
            revoker=application.revoker,
            dpop=application.dpop,
            keyring=application.keyring,
            metadata=application.metadata,
            jwks_max_age=settings.tokens.jwks_max_age,
            client_tokens=application.client_tokens,
        ),
        pipeline,
    )
    authorization_service_pb2_grpc.add_AuthorizationServiceServicer_to_server(
        AuthorizationService(application.authorizations, application.dpop), pipeline
    )
    introspection_service_pb2_grpc.add_IntrospectionServiceServicer_to_server(
        IntrospectionService(application.introspector, application.signing_introspector, application.feed),
        pipeline,
    )
    if application.enrollment is not None:
        enrollment_service_pb2_grpc.add_EnrollmentServiceServicer_to_server(
            EnrollmentService(
                application.enrollment, nonce_lifetime=settings.enrollment.nonce_lifetime, clock=clock
            ),
            pipeline,
        )
    if application.presentations is not None:
        # What it needs comes with an extra, which is there where verifiers are configured.
        from gateway.rpc.presentation_service import PresentationService  # noqa: PLC0415

        presentation_service_pb2_grpc.add_PresentationServiceServicer_to_server(
            PresentationService(application.presentations), pipeline
        )
    key_service_pb2_grpc.add_KeyServiceServicer_to_server(KeyService(application.keys), pipeline)
    client_service_pb2_grpc.add_ClientServiceServicer_to_server(
        ClientService(application.registrar), pipeline
    )
    audit_service_pb2_grpc.add_AuditServiceServicer_to_server(
        AuditService(application.audit_reader), pipeline
    )


async def _check_signers(settings: Settings, application: Application) -> None:
    """Sign and verify with every active key. Raises `AvailabilityError`, `SignerError`."""
    for name, health in application.signers.health().items():
        if not health.available or health.stuck_threads:
            raise SignerUnavailableError(
                f"{name}: {health.detail or 'not available'}; threads stuck in it: {health.stuck_threads}"
            )
    application.keyring.signing_key(KeyPurpose.TOKENS, settings.tokens.algorithm)
    for key in application.keyring.view.signing_keys.values():
        await key.signer.check()
