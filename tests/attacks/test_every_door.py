"""Every attack on a JWT at every door that takes one: refused with the door's reason, by the rule broken.

Doors and attacks are data. A new door gets all attacks with one more `Door`, a new attack all doors with one
more row of `tests.support.jwt_attacks`. That a door accepts what the attacks are made of is a test as well:
otherwise everything would be refused, and nothing shown.
"""

import hashlib
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import grpc
import pytest
import pytest_asyncio
from countersign import ClientSecretPostAuth, GrantType, PrivateKeyJwtAuth
from countersign.resource_server import AccessRefusedError
from countersign.v1 import (
    client_authentication_pb2,
    introspection_service_pb2,
    introspection_service_pb2_grpc,
    token_service_pb2,
    token_service_pb2_grpc,
)
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.fetching import DangerousLoopbackDoor, GuardedClient
from gateway.jose.errors import JoseFault
from gateway.oidc import IdTokenVerifier, OidcError, Provider, ProviderConfig
from tests.clients.resource_server.conftest import METHOD, ORIGIN, Issuer, request, verifier
from tests.oidc.conftest import CLIENT_ID, HOST, NoResolver, ScriptedProvider, SigningKey
from tests.support.assertions import jwks_of
from tests.support.dpop import Prover
from tests.support.edge import FORM, INTROSPECT, TOKEN, Edge, register
from tests.support.gateway import ISSUER, RESOURCE, RunningGateway, prepare, running_gateway
from tests.support.jwt_attacks import ATTACKS, Attack, Token, b64
from tests.support.pki import Authority
from tests.support.scripted_server import ScriptedServer, server_context

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARTNER = "https://partner.example"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
MINT = "/countersign.v1.TokenService/MintToken"
KEY = ec.generate_private_key(ec.SECP256R1())
PARTNER_KEY = ec.generate_private_key(ec.SECP256R1())
BOUND_KEY = Prover.es256()

Outcome = tuple[str, str]
"""Reason and cause; both empty where the token was accepted."""


@dataclass(frozen=True)
class Door:
    """Where a JWT comes in.

    - `token`: one that it accepts; `present`: present any text there.
    - `reason`: of every refusal, but of those attacks that `reasons` names.
    - `causes`: what each rule is called there; elsewhere its own name behind `prefix`; `attacks`: exceptions.
    - `traits`: what attacks may ask for beside the claims and header parameters of the token.
    """

    token: Callable[[], Token]
    present: Callable[[str], Awaitable[Outcome]]
    reason: str
    prefix: str = ""
    causes: Mapping[JoseFault, str] = field(default_factory=dict)
    attacks: Mapping[str, str] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    traits: frozenset[str] = frozenset()

    def takes(self, attack: Attack) -> bool:
        """Whether *attack* is one here."""
        token = self.token()
        traits = {*token.claims, *token.header, *self.traits}
        if "jwk" in token.header:
            traits.add("embedded key")
        return (not attack.needs or attack.needs in traits) and attack.unless not in traits

    def cause(self, attack: Attack) -> str:
        """What refuses *attack* here."""
        if attack.name in self.attacks:
            return self.attacks[attack.name]
        return self.causes.get(attack.fault, f"{self.prefix}{attack.fault.value}")


DPOP = {
    JoseFault.ALG_NONE: "dpop_alg_not_accepted",
    JoseFault.ALG_SYMMETRIC: "dpop_alg_not_accepted",
    JoseFault.ALG_UNSUPPORTED: "dpop_alg_not_accepted",
    JoseFault.ALG_MISSING: "dpop_alg_missing",
    JoseFault.SIGNATURE_MISSING: "dpop_signature_invalid",
    JoseFault.SIGNATURE_INVALID: "dpop_signature_invalid",
    JoseFault.CRIT_UNSUPPORTED: "dpop_extension_unsupported",
    JoseFault.B64_UNSUPPORTED: "dpop_extension_unsupported",
    JoseFault.ZIP_UNSUPPORTED: "dpop_extension_unsupported",
    JoseFault.PRIVATE_KEY_MEMBER: "dpop_key_private",
    JoseFault.SYMMETRIC_KEY: "dpop_key_invalid",
    JoseFault.POINT_NOT_ON_CURVE: "dpop_key_invalid",
    JoseFault.EMBEDDED_KEY_MISSING: "dpop_key_missing",
    JoseFault.TYP_MISMATCH: "dpop_typ_mismatch",
    JoseFault.CLAIM_INVALID: "dpop_claim_invalid",
    JoseFault.CLAIM_MISSING: "dpop_claim_missing",
    **dict.fromkeys(
        (
            JoseFault.INVALID_KID,
            JoseFault.DUPLICATE_MEMBER,
            JoseFault.INVALID_UTF8,
            JoseFault.NOT_AN_OBJECT,
            JoseFault.INVALID_JSON,
            JoseFault.JSON_TOO_DEEP,
            JoseFault.INVALID_BASE64URL,
            JoseFault.MALFORMED_COMPACT,
        ),
        "dpop_malformed",
    ),
}
OF_A_PROVIDER = {
    JoseFault.ALG_NONE: "alg_not_allowed",
    JoseFault.ALG_SYMMETRIC: "alg_not_allowed",
    JoseFault.ALG_UNSUPPORTED: "alg_not_allowed",
    JoseFault.SIGNATURE_MISSING: "signature_invalid",
    JoseFault.KEY_NOT_FOUND: "key_not_found",
    **dict.fromkeys(
        (
            JoseFault.ALG_MISSING,
            JoseFault.INVALID_KID,
            JoseFault.CRIT_UNSUPPORTED,
            JoseFault.B64_UNSUPPORTED,
            JoseFault.ZIP_UNSUPPORTED,
            JoseFault.DUPLICATE_MEMBER,
            JoseFault.INVALID_UTF8,
            JoseFault.NOT_AN_OBJECT,
            JoseFault.INVALID_JSON,
            JoseFault.JSON_TOO_DEEP,
            JoseFault.INVALID_BASE64URL,
            JoseFault.MALFORMED_COMPACT,
            JoseFault.TOKEN_TOO_LARGE,
        ),
        "token_malformed",
    ),
}
OF_THE_HELPER = {
    JoseFault.ALG_NONE: "alg_not_accepted",
    JoseFault.ALG_SYMMETRIC: "alg_not_accepted",
    JoseFault.ALG_UNSUPPORTED: "alg_not_accepted",
    JoseFault.KEY_NOT_FOUND: "key_unknown",
    JoseFault.CRIT_UNSUPPORTED: "parameter_refused",
    JoseFault.B64_UNSUPPORTED: "parameter_refused",
    JoseFault.ZIP_UNSUPPORTED: "parameter_refused",
    JoseFault.INVALID_KID: "claim_invalid",
    JoseFault.TOKEN_TOO_LARGE: "too_large",
    **dict.fromkeys(
        (
            JoseFault.SIGNATURE_MISSING,
            JoseFault.DUPLICATE_MEMBER,
            JoseFault.INVALID_UTF8,
            JoseFault.NOT_AN_OBJECT,
            JoseFault.INVALID_JSON,
            JoseFault.JSON_TOO_DEEP,
            JoseFault.INVALID_BASE64URL,
            JoseFault.MALFORMED_COMPACT,
        ),
        "malformed",
    ),
}
UNSIGNED = dict.fromkeys((f"alg {name}" for name in ("none", "None", "NONE", "nOnE")), "malformed")
HELPER_ATTACKS = {"no alg": "claim_missing", "alg a list": "claim_invalid", **UNSIGNED}
KID_ATTACKS = {"kid a path": "key_unknown", "kid SQL": "key_unknown"}
NO_TOKEN68 = dict.fromkeys(("padding", "JSON serialization"), "MalformedRequestError")
"""The ``Authorization`` header cannot be read, before any token is."""
ID_TOKEN_ATTACKS = dict.fromkeys(KID_ATTACKS, "not_renewed")
"""Its keys were just fetched, so that no verdict is given about a key that they lack."""


def claims_of(issuer: str, subject: str, **further: Any) -> dict[str, Any]:
    """Claims that are new each time."""
    now = int(time.time())
    return {
        "iss": issuer,
        "sub": subject,
        "aud": ISSUER,
        "iat": now,
        "exp": now + 60,
        "jti": uuid.uuid4().hex,
    } | further


class Doors:
    """The doors of one running gateway, of one provider's tokens, and of the resource server's helper."""

    def __init__(self, gateway: RunningGateway, secret: str, provider: ScriptedProvider, tls: Authority):
        self.gateway = gateway
        self.edge = Edge(gateway)
        self.secret = secret
        self.provider = provider
        pem = (gateway.prepared.folder / "keys" / "tokens.pem").read_bytes()
        key = load_pem_private_key(pem, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self.gateway_key = key
        self.channel = gateway.channel()
        self.api = gateway.channel(gateway.api)
        self.http = self.edge.client()
        self.kid = ""
        self.bound = self.foreign_token().with_claims(cnf={"jkt": BOUND_KEY.jkt}).compact()
        loopback = DangerousLoopbackDoor(frozenset({HOST}), tls.pem.decode())
        config = ProviderConfig(provider.issuer, CLIENT_ID)
        fetcher = GuardedClient(NoResolver(), door=loopback)
        self.id_tokens = IdTokenVerifier(Provider(config, client=fetcher, clock=time.time), clock=time.time)
        self.helper = verifier(Issuer(Prover(KEY, "ES256")), accept_unbound=True)

    async def open(self) -> None:
        """Learn the id of the gateway's key."""
        document = (await self.http.get("/oauth2/jwks")).json()
        (self.kid,) = [each["kid"] for each in document["keys"]]

    async def close(self) -> None:
        """Let go of connections."""
        await self.channel.close()
        await self.api.close()
        await self.http.aclose()

    def all(self) -> dict[str, Door]:
        """By name."""
        assertion = partial(
            Door,
            self.assertion,
            reason="INVALID_CLIENT",
            prefix="assertion_",
            traits=frozenset({"JWT", "client-authentication+jwt"}),
        )
        bearer = partial(
            Door,
            self.bearer_assertion,
            reason="INVALID_GRANT",
            prefix="assertion_",
            causes={JoseFault.ISSUER_MISMATCH: "assertion_issuer_not_trusted"},
            traits=frozenset({"JWT"}),
        )
        subject = partial(
            Door,
            self.access_token,
            reason="INVALID_REQUEST",
            prefix="subject_token_",
            causes={JoseFault.AUDIENCE_MISMATCH: "subject_token_of_others"},
            attacks={name: f"subject_token_{cause}" for name, cause in KID_ATTACKS.items()},
            traits=frozenset({"at+jwt"}),
        )
        actor = partial(
            Door,
            self.actor_token,
            reason="INVALID_REQUEST",
            prefix="actor_token_",
            attacks={name: f"actor_token_{cause}" for name, cause in KID_ATTACKS.items()},
            traits=frozenset({"at+jwt", "any audience"}),
        )
        inactive = partial(
            Door,
            self.access_token,
            reason="inactive",
            causes={JoseFault.AUDIENCE_MISMATCH: ""},
            attacks=KID_ATTACKS,
            traits=frozenset({"at+jwt"}),
        )
        caller = partial(
            Door,
            self.own_token,
            reason="INVALID_TOKEN",
            traits=frozenset({"at+jwt", "header"}),
            attacks=KID_ATTACKS,
            causes={JoseFault.AUDIENCE_MISMATCH: "audience_is_not_the_gateway"},
        )
        proof = partial(
            Door, reason="INVALID_DPOP_PROOF", causes=DPOP, traits=frozenset({"dpop+jwt", "header"})
        )
        return {
            "client assertion, gRPC": assertion(self.present_assertion),
            "client assertion, edge": assertion(self.post_assertion),
            "JWT bearer assertion, gRPC": bearer(self.present_bearer),
            "JWT bearer assertion, edge": bearer(self.post_bearer),
            "subject token, gRPC": subject(partial(self.present_exchange, "subject_token")),
            "subject token, edge": subject(partial(self.post_exchange, "subject_token")),
            "actor token, gRPC": actor(partial(self.present_exchange, "actor_token")),
            "actor token, edge": actor(partial(self.post_exchange, "actor_token")),
            "introspected token, gRPC": inactive(self.introspect),
            "introspected token, edge": inactive(self.post_introspection),
            "caller's token, gRPC": caller(self.call_with),
            "caller's token, edge": caller(self.post_with),
            "DPoP proof, gRPC": proof(partial(self.proof, ISSUER + MINT), self.present_proof),
            "DPoP proof, edge": proof(partial(self.proof, ISSUER + TOKEN), self.post_proof),
            "DPoP proof, PAR": proof(partial(self.proof, f"{ISSUER}/oauth2/par"), self.push_proof),
            "ID token of a provider": Door(
                self.id_token,
                self.verify_id_token,
                "OidcError",
                causes=OF_A_PROVIDER,
                attacks=ID_TOKEN_ATTACKS,
                traits=frozenset({"JWT"}),
            ),
            "access token, resource server": Door(
                self.foreign_token,
                self.verify_token,
                "InvalidTokenError",
                causes=OF_THE_HELPER,
                attacks=HELPER_ATTACKS,
                reasons=NO_TOKEN68,
                traits=frozenset({"at+jwt", "header"}),
            ),
            "DPoP proof, resource server": Door(
                self.bound_proof,
                self.verify_proof,
                "InvalidProofError",
                attacks=HELPER_ATTACKS,
                causes=OF_THE_HELPER
                | dict.fromkeys(
                    (JoseFault.PRIVATE_KEY_MEMBER, JoseFault.SYMMETRIC_KEY, JoseFault.POINT_NOT_ON_CURVE),
                    "key_invalid",
                )
                | {JoseFault.EMBEDDED_KEY_MISSING: "claim_missing"},
                traits=frozenset({"dpop+jwt", "header", "kid ignored"}),
            ),
        }

    # What the doors accept.

    def assertion(self) -> Token:
        return Token({"alg": "ES256", "typ": "JWT", "kid": "key-1"}, claims_of("keyed", "keyed"), KEY)

    def bearer_assertion(self) -> Token:
        return Token({"alg": "ES256", "typ": "JWT", "kid": "key-1"}, claims_of(PARTNER, "bob"), PARTNER_KEY)

    def access_token(self) -> Token:
        """Of another client than the one that introspects and exchanges, so that the audience decides."""
        claims = claims_of(ISSUER, "alice", aud=RESOURCE, client_id="keyed")
        return Token({"alg": "ES256", "typ": "at+jwt", "kid": self.kid}, claims, self.gateway_key)

    def actor_token(self) -> Token:
        """Of the client that exchanges, which it may be whatever it is for."""
        return self.access_token().with_claims(client_id="secret", aud="https://evil.example")

    def own_token(self) -> Token:
        return self.access_token().with_claims(aud=ISSUER)

    def proof(self, target: str) -> Token:
        header = {"alg": "ES256", "typ": "dpop+jwt", "jwk": dict(BOUND_KEY.jwk)}
        claims = {"jti": uuid.uuid4().hex, "htm": "POST", "htu": target, "iat": int(time.time())}
        assert isinstance(BOUND_KEY.key, ec.EllipticCurvePrivateKey)
        return Token(header, claims, BOUND_KEY.key)

    def bound_proof(self) -> Token:
        ath = b64(hashlib.sha256(self.bound.encode()).digest())
        return self.proof(ORIGIN + METHOD).with_claims(ath=ath)

    def id_token(self) -> Token:
        key = self.provider.keys[0]
        claims = claims_of(self.provider.issuer, "alice", aud=CLIENT_ID)
        return Token({"alg": "ES256", "typ": "JWT", "kid": key.kid}, claims, key.private)

    def foreign_token(self) -> Token:
        claims = claims_of(ISSUER, "alice", aud=RESOURCE, client_id="secret")
        return Token({"alg": "ES256", "typ": "at+jwt", "kid": "key-1"}, claims, KEY)

    # How tokens are presented.

    async def present_assertion(self, text: str) -> Outcome:
        by = client_authentication_pb2.PrivateKeyJwt(assertion=text)
        return await self._mint(
            client_id="keyed",
            authentication=client_authentication_pb2.ClientAuthentication(private_key_jwt=by),
            client_credentials=token_service_pb2.ClientCredentialsGrant(),
        )

    async def post_assertion(self, text: str) -> Outcome:
        return await self._post(
            TOKEN,
            grant_type="client_credentials",
            client_assertion_type=ASSERTION_TYPE,
            client_assertion=text,
        )

    async def present_bearer(self, text: str) -> Outcome:
        return await self._mint_by_secret(jwt_bearer=token_service_pb2.JwtBearerGrant(assertion=text))

    async def post_bearer(self, text: str) -> Outcome:
        return await self._post_by_secret(grant_type=GrantType.JWT_BEARER.value, assertion=text)

    async def present_exchange(self, part: str, text: str) -> Outcome:
        tokens = {"subject_token": self.access_token().compact()} | {part: text}
        grant = token_service_pb2.TokenExchangeGrant(**tokens)
        return await self._mint_by_secret(token_exchange=grant)

    async def post_exchange(self, part: str, text: str) -> Outcome:
        tokens = {"subject_token": self.access_token().compact(), "subject_token_type": ACCESS_TOKEN}
        tokens |= {part: text, f"{part}_type": ACCESS_TOKEN}
        return await self._post_by_secret(grant_type=GrantType.TOKEN_EXCHANGE.value, **tokens)

    async def introspect(self, text: str) -> Outcome:
        stub = introspection_service_pb2_grpc.IntrospectionServiceStub(self.api)
        answer = await stub.IntrospectToken(introspection_service_pb2.IntrospectTokenRequest(token=text))
        return ("", "") if answer.active else ("inactive", "")

    async def post_introspection(self, text: str) -> Outcome:
        form = {"client_id": "secret", "client_secret": self.secret, "token": text}
        answer = (await self.http.post(INTROSPECT, data=form)).json()
        assert answer == {"active": False} or answer["active"]
        return ("", "") if answer["active"] else ("inactive", "")

    async def call_with(self, text: str) -> Outcome:
        stub = introspection_service_pb2_grpc.IntrospectionServiceStub(self.channel)
        message = introspection_service_pb2.IntrospectTokenRequest(token="x")
        return await self._call(stub.IntrospectToken, message, ("authorization", f"Bearer {text}"))

    async def post_with(self, text: str) -> Outcome:
        return await self._post(INTROSPECT, headers={"authorization": f"Bearer {text}"}, token="x")

    async def present_proof(self, text: str) -> Outcome:
        return await self._mint_by_secret(
            ("dpop", text), client_credentials=token_service_pb2.ClientCredentialsGrant()
        )

    async def post_proof(self, text: str) -> Outcome:
        return await self._post_by_secret(headers={"dpop": text}, grant_type="client_credentials")

    async def push_proof(self, text: str) -> Outcome:
        return await self._post(
            "/oauth2/par",
            headers={"dpop": text},
            client_id="secret",
            client_secret=self.secret,
            response_type="code",
            redirect_uri="https://app.example.org/callback",
            code_challenge="E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            code_challenge_method="S256",
        )

    async def verify_id_token(self, text: str) -> Outcome:
        try:
            await self.id_tokens.verify(text)
        except OidcError as error:
            return "OidcError", error.fault.value
        return "", ""

    async def verify_token(self, text: str) -> Outcome:
        return await self._served(request(text))

    async def verify_proof(self, text: str) -> Outcome:
        return await self._served(request(self.bound, text, scheme="DPoP"))

    async def _served(self, presented: Any) -> Outcome:
        try:
            await self.helper.verify(presented)
        except AccessRefusedError as error:
            return type(error).__name__, error.fault.value
        return "", ""

    async def _mint_by_secret(self, *metadata: tuple[str, str], **grant: Any) -> Outcome:
        by = client_authentication_pb2.ClientSecret(secret=self.secret)
        return await self._mint(
            *metadata,
            client_id="secret",
            authentication=client_authentication_pb2.ClientAuthentication(client_secret=by),
            **grant,
        )

    async def _mint(self, *metadata: tuple[str, str], **fields: Any) -> Outcome:
        stub = token_service_pb2_grpc.TokenServiceStub(self.channel)
        return await self._call(stub.MintToken, token_service_pb2.MintTokenRequest(**fields), *metadata)

    async def _call(self, method: Any, message: Any, *metadata: tuple[str, str]) -> Outcome:
        request_id = uuid.uuid4().hex
        try:
            await method(message, metadata=(("x-request-id", request_id), *metadata), timeout=10)
        except grpc.aio.AioRpcError:
            return self._logged(request_id)
        return "", ""

    async def _post_by_secret(self, headers: Mapping[str, str] | None = None, **form: str) -> Outcome:
        return await self._post(TOKEN, headers=headers, client_id="secret", client_secret=self.secret, **form)

    async def _post(self, path: str, headers: Mapping[str, str] | None = None, **form: str) -> Outcome:
        request_id = uuid.uuid4().hex
        answer = await self.http.post(
            path, data=form, headers={**FORM, "x-request-id": request_id, **(headers or {})}
        )
        return ("", "") if answer.is_success else self._logged(request_id)

    def _logged(self, request_id: str) -> Outcome:
        (record,) = [each for each in self.gateway.log.records if each.request_id == request_id]
        return record.reason, record.cause.partition(":")[0]


@asynccontextmanager
async def opened(folder: Any) -> AsyncIterator[Doors]:
    (folder / "partner.json").write_bytes(jwks_of(PARTNER_KEY, kids=("key-1",)))
    trusted = {"issuer": PARTNER, "jwks": "partner.json", "subject_prefix": "partner:"}
    tls = Authority.root("OpenID Root")
    async with AsyncExitStack() as stack:
        prepared = await prepare(folder, trusted_issuers=[trusted])
        gateway = await stack.enter_async_context(running_gateway(folder, prepared=prepared))
        server = await stack.enter_async_context(ScriptedServer(tls=server_context(tls.server(HOST))))
        admin = await stack.enter_async_context(gateway.client(gateway.admin))
        await register(admin, "keyed", PrivateKeyJwtAuth(jwks_of(KEY, kids=("key-1",)).decode()))
        grants = [
            GrantType.CLIENT_CREDENTIALS,
            GrantType.JWT_BEARER,
            GrantType.TOKEN_EXCHANGE,
            GrantType.AUTHORIZATION_CODE,
        ]
        secret = await register(
            admin,
            "secret",
            ClientSecretPostAuth(),
            grant_types=grants,
            resources=[RESOURCE],
            redirect_uris=["https://app.example.org/callback"],
        )
        doors = Doors(gateway, secret or "", ScriptedProvider(server, [SigningKey()]), tls)
        stack.push_async_callback(doors.close)
        await doors.open()
        yield doors


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doors(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Doors]:
    """The doors, and what they need."""
    async with opened(tmp_path_factory.mktemp("doors")) as found:
        yield found


NAMES = [
    *(
        f"{kind}, {door}"
        for kind in (
            "client assertion",
            "JWT bearer assertion",
            "subject token",
            "actor token",
            "introspected token",
            "caller's token",
            "DPoP proof",
        )
        for door in ("gRPC", "edge")
    ),
    "DPoP proof, PAR",
    "ID token of a provider",
    "access token, resource server",
    "DPoP proof, resource server",
]


async def test_the_list_of_doors_is_complete(doors: Doors):
    """Every door is in the table."""
    assert set(doors.all()) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
async def test_what_is_attacked_is_good(doors: Doors, name):
    """Without an attack the door opens."""
    door = doors.all()[name]
    assert await door.present(door.token().compact()) == ("", "")


@pytest.mark.parametrize("name", NAMES)
async def test_every_attack_is_refused(doors: Doors, name, caplog):
    """Each attack is refused with the door's reason, by the rule that it breaks."""
    door = doors.all()[name]
    caplog.set_level(logging.DEBUG, "gateway.introspection.introspect")
    wrong, tried = [], 0
    for attack in ATTACKS:
        if not door.takes(attack):
            continue
        caplog.clear()
        tried += 1
        reason, cause = await door.present(attack.make(door.token()))
        if reason == "inactive":
            cause = "".join(
                str(record.__dict__["cause"]) for record in caplog.records if "cause" in record.__dict__
            )
        if (reason, cause) != (door.reasons.get(attack.name, door.reason), door.cause(attack)):
            wrong.append((attack.name, reason, cause, door.cause(attack)))
    assert wrong == []
    assert tried > 40


@pytest.mark.parametrize("name", NAMES)
async def test_no_door_takes_the_jwt_of_another(doors: Doors, name):
    """A JWT that is good at one door is refused at every other kind of door, with that door's reason."""
    door, every = doors.all()[name], doors.all()
    kind = name.partition(",")[0]
    accepted = []
    for other, source in every.items():
        if other.partition(",")[0] == kind or source.token == door.token:
            continue
        if {kind, other.partition(",")[0]} <= {"subject token", "actor token", "introspected token"}:
            continue  # All three are an access token of the gateway's.
        reason, _ = await door.present(source.token().compact())
        if reason != door.reason:
            accepted.append((other, reason))
    assert accepted == []
