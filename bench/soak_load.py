"""What everybody does during a soak: each actor goes round for ever, with a pause between two rounds.

Before that, everybody acts so often and so much at once that whatever the gateway may remember is full.
"""

import asyncio
import itertools
import random
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from typing import Final, NoReturn, TypeAlias

import grpc
import httpx
from countersign import (
    AuthorizationRequest,
    CertificateName,
    CountersignError,
    DeviceKey,
    DpopKey,
    GatewayClient,
    GrantType,
    Pkce,
    RetryPolicy,
    TlsClientAuth,
    TlsConfig,
    TokenRequest,
    UnavailableError,
    WireDevice,
)
from cryptography.hazmat.primitives.asymmetric import ec

from bench.certificates import ADMIN, CLIENT, RESOURCE, Identity, spiffe_id
from bench.facts import AUDIENCE, CLIENT_ID, DPOP_CLIENT_ID, ISSUER, SCOPES, SECRET_CLIENT_ID
from bench.soak_fill import MANY, WIDTH
from bench.soak_site import BACKEND, DOMAIN, LOGIN, PROVISIONER, Soaked

USER_CLIENT_ID: Final = "bench-app"
REDIRECT_URI: Final = "https://app.example.org/callback"
_TIMEOUT: Final = 30.0
"""Seconds that a round may take."""
_FILL_TIMEOUT: Final = 1800.0
_OVERLOADED: Final = "OVERLOADED"
_PAUSE: Final = 0.5
"""Seconds before what was refused is asked for again."""

Round: TypeAlias = Callable[[], Awaitable[None]]


class _NoLoginError(Exception):
    """The user does not log in: the enrollment ends there."""


class Load:
    """Everybody who calls one gateway.

    `actors`: by name, what one does in a round, and how many times slower than the busiest one it is.
    `rounds` counts what was done by name, `failures` what went wrong, `shed` what the gateway refused as
    OVERLOADED because the machine had no time for it.
    """

    def __init__(self, soaked: Soaked, identities: Mapping[str, Identity], *, secret: str) -> None:
        self._soaked = soaked
        self._identities = identities
        self._secret = secret
        self._tls = ssl.create_default_context(cafile=str(identities[CLIENT].authority))
        self._clients: dict[str, GatewayClient] = {}
        self._numbers = itertools.count(1)
        self.actors: Mapping[str, tuple[Round, float]] = {
            "mint": (self._mint, 1),
            "batch": (self._batch, 5),
            "many": (self._many, 50),
            "introspect_and_revoke": (self._introspect_and_revoke, 2),
            "refresh": (self._refresh, 3),
            "dpop": (self._dpop, 3),
            "https_token": (self._https_token, 2),
            "enroll": (self._enroll, 5),
            "watch": (self._watch, 10),
            "reconnect": (self._reconnect, 3),
            "https_reconnect": (self._https_reconnect, 3),
            "fail": (self._fail, 2),
            "abandon": (self._abandon, 3),
        }
        self.rounds: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.shed: Counter[str] = Counter()

    async def run(self, pace: float, *, fill: Mapping[str, int], full: asyncio.Event) -> None:
        """Do each actor's rounds of *fill*, set *full*, and go on until canceled.

        *pace*: seconds between two rounds of the busiest actor. `rounds` counts from *full* on.
        """
        async with AsyncExitStack() as stack:
            for name in (ADMIN, CLIENT, RESOURCE, LOGIN, BACKEND):
                self._clients[name] = await stack.enter_async_context(self._client(name))
            await self._register()
            await self.fill(
                [(name, self.actors[name][0]) for name, count in fill.items() for _ in range(count)]
            )
            self.rounds.clear()
            full.set()
            async with asyncio.TaskGroup() as group:
                for name, (act, slower) in self.actors.items():
                    group.create_task(self._again(name, act, pace * slower))

    async def fill(self, rounds: list[tuple[str, Round]]) -> None:
        """Do all *rounds*, mixed as in the soak, `WIDTH` at a time and without a pause.

        A gateway may refuse what is too much for the machine: such a round is done again, a little later.
        Raises `TimeoutError` after half an hour.
        """
        random.shuffle(rounds)

        async def work() -> None:
            while rounds:
                name, act = rounds.pop()
                try:
                    await self._once(name, act)
                except UnavailableError:
                    rounds.insert(0, (name, act))
                    await asyncio.sleep(_PAUSE)

        async with asyncio.timeout(_FILL_TIMEOUT), asyncio.TaskGroup() as group:
            for _ in range(WIDTH):
                group.create_task(work())

    async def _again(self, name: str, act: Round, pause: float) -> None:
        while True:
            try:
                await self._once(name, act)
            except UnavailableError as error:
                if error.reason == _OVERLOADED:
                    self.shed[name] += 1
                else:
                    self._failed(name, error)
            # Not in step with each other.
            await asyncio.sleep(random.uniform(0.5, 1.5) * pause)  # noqa: S311 - no secret

    async def _once(self, name: str, act: Round) -> None:
        """One round, counted. Raises `UnavailableError`, uncounted."""
        try:
            async with asyncio.timeout(_TIMEOUT):
                await act()
            self.rounds[name] += 1
        except UnavailableError:
            raise
        except (CountersignError, httpx.HTTPError, OSError, TimeoutError) as error:
            self._failed(name, error)

    def _failed(self, name: str, error: Exception) -> None:
        if isinstance(error, CountersignError):
            what = str(error.reason or error.code.name)
        else:
            what = str(error).partition(" for url")[0]
        self.failures[f"{name}: {type(error).__name__}: {what}"] += 1

    def _client(self, name: str, dpop: DpopKey | None = None) -> GatewayClient:
        identity = self._identities[name]
        tls = TlsConfig(
            ca=identity.authority, certificate=identity.certificate, private_key=identity.private_key
        )
        retry = RetryPolicy(max_attempts=1)
        return GatewayClient(self._soaked.server.address, tls=tls, retry=retry, timeout=_TIMEOUT, dpop=dpop)

    async def _register(self) -> None:
        """The client that users authorize; the others are there already."""
        await self._clients[ADMIN].create_client(
            USER_CLIENT_ID,
            authentication=TlsClientAuth(CertificateName.SAN_URI, spiffe_id(CLIENT)),
            grant_types=[GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN],
            redirect_uris=[REDIRECT_URI],
            scopes=SCOPES,
            audiences=[AUDIENCE],
            certificate_bound_access_tokens=True,
        )

    async def _mint(self) -> None:
        await self._clients[CLIENT].mint_token(CLIENT_ID, resource=[AUDIENCE])

    async def _batch(self) -> None:
        wanted = [TokenRequest(scope=SCOPES, resource=(AUDIENCE,))] * 10
        for token in await self._clients[CLIENT].batch_mint_tokens(CLIENT_ID, wanted):
            if isinstance(token, CountersignError):
                raise token

    async def _many(self) -> None:
        wanted = [TokenRequest(scope=SCOPES, resource=(AUDIENCE,))] * MANY
        minted = await self._clients[CLIENT].batch_mint_tokens(CLIENT_ID, wanted, timeout=_TIMEOUT)
        tokens = [each.value for each in minted if not isinstance(each, CountersignError)]
        found = await self._clients[RESOURCE].batch_introspect_tokens(tokens, timeout=_TIMEOUT)
        if len(tokens) != MANY or None in found:
            self.failures["many: a token was refused, or is not active"] += 1

    async def _dpop(self) -> None:
        """A client with a new key, to which its tokens are bound."""
        key = DpopKey(ec.generate_private_key(ec.SECP256R1()), "ES256", ISSUER)
        async with self._client(CLIENT, key) as client:
            for _ in range(3):
                await client.mint_token(DPOP_CLIENT_ID, resource=[AUDIENCE])

    async def _introspect_and_revoke(self) -> None:
        token = (await self._clients[CLIENT].mint_token(CLIENT_ID, resource=[AUDIENCE])).value
        if await self._clients[RESOURCE].introspect_token(token) is None:
            self.failures["introspect: a fresh token is not active"] += 1
        await self._clients[CLIENT].revoke_token(token, client_id=CLIENT_ID)
        if await self._clients[RESOURCE].introspect_token(token) is not None:
            self.failures["introspect: a revoked token is active"] += 1

    async def _refresh(self) -> None:
        pkce = Pkce()
        request = AuthorizationRequest(REDIRECT_URI, pkce.challenge, SCOPES, (AUDIENCE,))
        code = await self._clients[LOGIN].create_authorization_code(USER_CLIENT_ID, request, subject="alice")
        client = self._clients[CLIENT]
        granted = await client.redeem_code(
            USER_CLIENT_ID, code.code, redirect_uri=REDIRECT_URI, code_verifier=pkce.verifier
        )
        for _ in range(3):
            if granted.refresh_token is None:
                break
            granted = await client.refresh_token(USER_CLIENT_ID, granted.refresh_token)

    async def _https_token(self) -> None:
        form = {"grant_type": "client_credentials", "scope": " ".join(SCOPES), "resource": AUDIENCE}
        async with self._https() as client:
            for _ in range(3):
                response = await client.post(
                    "/oauth2/token", data=form, auth=(SECRET_CLIENT_ID, self._secret)
                )
                _require_success(response)

    async def _enroll(self) -> None:
        """Account, order and the device's proof; the user's provider would be beyond the gateway."""
        device = WireDevice(
            f"wireapp://KPrqV67URCOHFKk4yKIXZQ!{next(self._numbers):x}@{DOMAIN}", "alice", "Alice", DOMAIN
        )
        with suppress(_NoLoginError):
            await self._clients[BACKEND].enroll_wire_device(
                PROVISIONER,
                device,
                account_key=DeviceKey.generate(),
                certificate_key=DeviceKey.generate(),
                login=_no_login,
            )

    async def _watch(self) -> None:
        """A resource server that comes, hears of a revocation, and goes."""
        async with self._client(RESOURCE) as client:
            batches = client.watch_revocations()
            await anext(batches)
            await self._clients[ADMIN].revoke_token_id(f"soak-{next(self._numbers)}")
            while not (await anext(batches)).revocations:
                pass

    async def _reconnect(self) -> None:
        async with self._client(CLIENT) as client:
            await client.mint_token(CLIENT_ID, resource=[AUDIENCE])

    async def _https_reconnect(self) -> None:
        async with self._https() as client:
            _require_success(await client.get("/oauth2/jwks"))

    async def _fail(self) -> None:
        """Calls that must be refused."""
        refused = 0
        calls: tuple[Callable[[GatewayClient], Awaitable[object]], ...] = (
            lambda client: client.mint_token("nobody"),
            lambda client: client.mint_token(CLIENT_ID, scope=["not:granted"]),
            lambda client: client.revoke_token_id("not-for-clients"),
        )
        for call in calls:
            try:
                await call(self._clients[CLIENT])
            except UnavailableError:
                raise
            except CountersignError:
                refused += 1
        async with self._https() as client:
            wrong = await client.post("/oauth2/token", data={"grant_type": "x"}, auth=("nobody", "wrong"))
            refused += wrong.is_error
        if refused != 4:
            self.failures["fail: a call that must be refused was not"] += 1

    async def _abandon(self) -> None:
        """A call whose caller leaves, and connections that never become any."""
        call = asyncio.create_task(self._clients[RESOURCE].introspect_token("x.y.z"))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait([call])  # Whoever cancels this actor is not to be mistaken for the call.
        for address in (self._soaked.server.address, self._soaked.server.https_address):
            _, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
            writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
            await writer.drain()
            writer.close()

    def _https(self) -> httpx.AsyncClient:
        base = f"https://{self._soaked.server.https_address}"
        return httpx.AsyncClient(base_url=base, verify=self._tls, trust_env=False, timeout=_TIMEOUT)


async def _no_login(challenge: object, key_authorization: str) -> NoReturn:
    del challenge, key_authorization
    raise _NoLoginError


def _require_success(response: httpx.Response) -> None:
    """Raise `UnavailableError` for 503, `httpx.HTTPStatusError` for every other refusal."""
    if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        # The reason has no name over HTTPS, but its description.
        reason = _OVERLOADED if "Too many calls are under way" in response.text else None
        raise UnavailableError(response.text, code=grpc.StatusCode.UNAVAILABLE, reason=reason)
    response.raise_for_status()
