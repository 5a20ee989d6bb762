"""A verifier, a wallet and an issuer that meet over real HTTPS on loopback.

    async with presenting(tmp_path, Algorithm.ES256) as stage:
        asked = await stage.ask()
        async with stage.http() as http:
            answered = await stage.wallet(holder, [credential], http).present(asked.authorization_request_uri)
        report = (await stage.get(asked.name)).verification

The gateway's keys are in SoftHSM. What others host (did:web documents, status lists) is on one scripted
server, which the gateway reaches through its test door.
"""

import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from countersign.v1 import presentation_service_pb2 as pb
from countersign.v1 import presentation_service_pb2_grpc as pb_grpc

from gateway.fetching import DangerousLoopbackDoor, GuardedClient
from gateway.keys.model import KeyPurpose
from gateway.presentations.status import Dialect
from signers import Algorithm
from softhsm.provision import Provisioned, provision
from tests.support.dids import NoDns
from tests.support.edge import free_ports
from tests.support.gateway import CALLERS, Prepared, RunningGateway, make_key, prepare, running_gateway
from tests.support.pki import Authority, Issued
from tests.support.scripted_server import Answer, ScriptedServer, reply, server_context
from tests.support.wallet import Wallet
from tests.support.wallet_identities import Identity, identity
from tests.support.wallet_issuer import EmployeeIssuer

VERIFIER: Final = "spiffe://example.org/verifier"
HOST: Final = "others.example.test"
APP: Final = "https://app.example.org"
NAME: Final = "employees"
_numbers = count()
_PURPOSES: Final = (KeyPurpose.PRESENTATION_REQUESTS, KeyPurpose.LINKED_DOMAINS)


@dataclass
class Stage:
    """A running gateway with a verifier, the host of all others, and who may ask as that verifier."""

    gateway: RunningGateway
    others: ScriptedServer
    caller: Issued

    @property
    def url(self) -> str:
        """The origin of the edge."""
        return self.gateway.prepared.settings.public_url

    @property
    def origin(self) -> str:
        """The origin of the others."""
        return f"https://{HOST}:{self.others.port}"

    def client(self) -> GuardedClient:
        """A guarded client of a wallet, for which all hosts of the stage are on loopback."""
        door = DangerousLoopbackDoor(frozenset({HOST, "localhost"}), self.gateway.root.pem.decode())
        return GuardedClient(NoDns(), door=door)

    def http(self) -> httpx.AsyncClient:
        """An HTTP client that trusts the stage's authority alone."""
        context = ssl.create_default_context(cadata=self.gateway.root.pem.decode())
        return httpx.AsyncClient(verify=context, timeout=20, trust_env=False)

    def identity(self, name: str, method: str, algorithm: Algorithm, **options: Any) -> Identity:
        """An identity; the document of a did:web is served at once, below the path *name*."""
        made = identity(method, algorithm, host=f"{HOST}:{self.others.port}/{name}", **options)
        if made.document is not None:
            self.others.routes[f"/{name}/did.json"] = reply(body=made.document)
        return made

    def issuer(
        self, method: str = "jwk", algorithm: Algorithm = Algorithm.ES256, **options: Any
    ) -> EmployeeIssuer:
        """An issuer with a status list of its own, which `publish` serves."""
        url = f"{self.origin}/status/{next(_numbers)}"
        return EmployeeIssuer(self.identity("issuer", method, algorithm), url, **options)

    def publish(self, issuer: EmployeeIssuer, answer: Answer | None = None) -> None:
        """Serve the issuer's list as it is now, or *answer* in its place."""
        if answer is None:
            media_type = "application/jwt"
            if issuer.dialect is Dialect.TOKEN:
                media_type = "application/statuslist+jwt"
            answer = reply(body=issuer.status_list().encode(), content_type=media_type)
        self.others.routes[urlsplit(issuer.status_url).path] = answer

    def wallet(
        self, holder: Identity, credentials: Sequence[str], http: httpx.AsyncClient, **options: Any
    ) -> Wallet:
        """A wallet that reaches this stage."""
        return Wallet(holder, credentials, client=self.client(), http=http, **options)

    @asynccontextmanager
    async def stub(self) -> AsyncIterator[pb_grpc.PresentationServiceStub]:
        """The service, called by the verifier's backend."""
        async with self.gateway.channel(self.caller) as channel:
            yield pb_grpc.PresentationServiceStub(channel)

    async def ask(self, **wish: Any) -> Any:
        """A new request of the verifier; for a VerifiedEmployee unless *wish* has another query."""
        if "presentation_definition" not in wish:
            wish.setdefault("verified_employee", pb.VerifiedEmployeeQuery())
        async with self.stub() as stub:
            made = await stub.CreatePresentationRequest(
                pb.CreatePresentationRequestRequest(verifier=NAME, **wish)
            )
        return made.request

    async def get(self, name: str) -> Any:
        """The request *name* as the verifier's backend sees it."""
        async with self.stub() as stub:
            return (await stub.GetPresentationRequest(pb.GetPresentationRequestRequest(name=name))).request


def outcomes(verification: Any) -> dict[str, set[str]]:
    """For each check code that occurred, the outcomes, in lower case."""
    names = pb.PresentationCheckOutcome.Name
    found: dict[str, set[str]] = {}
    for check in verification.checks:
        found.setdefault(check.code, set()).add(names(check.outcome).rpartition("_")[2].lower())
    return found


def objections(verification: Any) -> list[str]:
    """The codes of the checks that decide and did not pass, in order, each once."""
    bad = (pb.PRESENTATION_CHECK_OUTCOME_FAILED, pb.PRESENTATION_CHECK_OUTCOME_UNKNOWN)
    found = [check.code for check in verification.checks if check.outcome in bad and not check.advisory]
    return list(dict.fromkeys(found))


def provision_verifier(folder: Path, algorithm: Algorithm) -> Provisioned:
    """A SoftHSM token with the verifier's two keys."""
    return provision(folder, token="verifier", keys=[f"{purpose}:{algorithm}" for purpose in _PURPOSES])


async def prepared_verifier(
    folder: Path,
    algorithm: Algorithm,
    *,
    hsm: Provisioned | None,
    verifier: Mapping[str, Any] | None = None,
    presentations: Mapping[str, Any] | None = None,
    port: int | None = None,
    **sections: Any,
) -> Prepared:
    """A gateway's folder with one verifier, with keys in *hsm*, or in files without one."""
    root = Authority.root()
    port = port or free_ports(1)[0]
    (folder / "root.pem").write_bytes(root.pem)
    uris = [make_key(folder, p, algorithm) if hsm is None else hsm.uri(p) for p in _PURPOSES]
    keys = [
        {"purpose": "tokens", "algorithm": "ES256", "uri": make_key(folder, "tokens")},
        *(
            {"purpose": str(purpose), "algorithm": str(algorithm), "uri": uri}
            for purpose, uri in zip(_PURPOSES, uris, strict=True)
        ),
    ]
    prepared = await prepare(
        folder,
        root=root,
        callers=[*CALLERS, {"san_uri": VERIFIER, "roles": ["verifier"]}],
        server={"https_address": f"127.0.0.1:{port}"},
        edge={"public_url": f"https://localhost:{port}"},
        keys=keys,
        presentations={
            "algorithm": str(algorithm),
            "loopback_names": [HOST],
            "loopback_ca": "root.pem",
            **(presentations or {}),
        },
        verifiers=[{"name": NAME, "trusted_issuers": ["*"], "response_origins": [APP], **(verifier or {})}],
        **sections,
    )
    environment = {} if hsm is None else hsm.environment
    return Prepared(prepared.folder, prepared.root, prepared.settings, environment)


@asynccontextmanager
async def presenting(
    folder: Path, algorithm: Algorithm = Algorithm.ES256, *, hsm: Provisioned | None = None, **options: Any
) -> AsyncIterator[Stage]:
    """Run a `Stage`. *options* are those of `prepared_verifier`."""
    prepared = await prepared_verifier(folder, algorithm, hsm=hsm, **options)
    async with (
        ScriptedServer(tls=server_context(prepared.root.server(HOST))) as others,
        running_gateway(folder, prepared=prepared) as gateway,
    ):
        yield Stage(gateway, others, prepared.root.leaf("verifier", uris=(VERIFIER,)))
