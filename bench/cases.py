"""What is measured: each case as data, its requests, and what its replies must hold."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import jwt
from countersign.v1 import introspection_service_pb2, token_service_pb2

from bench import empty_server
from bench.certificates import CLIENT, RESOURCE
from signers import Algorithm

BATCH = 100
CLIENT_ID = "bench-client"
KNOWN = 5 * BATCH
"""Tokens that are introspected again and again, as those of a resource server's regular callers are."""

FRESH = 12_000
"""Tokens introspected in turn, so many that the gateway, which remembers 10,000 verified ones per worker, has
forgotten each of them when it comes again."""

TOKENS = KNOWN + 2 * FRESH
_KNOWN = slice(KNOWN)
_FRESH = slice(KNOWN, KNOWN + FRESH)
_FRESH_BATCHES = slice(KNOWN + FRESH, TOKENS)

AUDIENCE = "https://api.bench.example"
SCOPES = ("orders:read", "orders:write")
ISSUER = "https://id.bench.example"

EMPTY_SERVER = "empty"
EMPTY_METHOD = f"/{empty_server.SERVICE}/{empty_server.METHOD}"
FILE_EDDSA = "file EdDSA"
SOFTHSM_ES256 = "SoftHSM ES256"
SOFTHSM_EDDSA = "SoftHSM EdDSA"


class ReplyError(Exception):
    """A reply that arrived with status OK does not hold what it must; the message says what."""


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where a gateway's only signing key lies."""

    algorithm: Algorithm
    softhsm: bool


GATEWAYS = {
    FILE_EDDSA: KeySource(Algorithm.EDDSA, softhsm=False),
    SOFTHSM_ES256: KeySource(Algorithm.ES256, softhsm=True),
    SOFTHSM_EDDSA: KeySource(Algorithm.EDDSA, softhsm=True),
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What requests are made from and replies are checked with.

    - `tokens`: `TOKENS` of the case's own gateway, compact JWS; none where no case introspects there.
    - `keys`: by key id, what verifies them.
    """

    tokens: Sequence[str]
    keys: Mapping[str, jwt.PyJWK]


NO_FACTS = Facts(tokens=(), keys={})
"""Of a server that knows no tokens."""


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to measure.

    - `server`: `EMPTY_SERVER` or one of `GATEWAYS`; `caller`: whose certificate is presented.
    - `method`: full gRPC name; `items`: tokens that one call mints or introspects.
    - `requests`: serialized requests, sent in turn; `check` raises `ReplyError`.
    """

    name: str
    title: str
    server: str
    caller: str
    method: str
    items: int
    requests: Callable[[Facts], Sequence[bytes]]
    check: Callable[[bytes, Facts], None]


def _empty_requests(facts: Facts) -> Sequence[bytes]:
    """As many bytes as a MintToken request, so that both cost the wire the same."""
    return [b"\0" * len(request) for request in _mint_requests(facts)]


def _mint_requests(facts: Facts) -> Sequence[bytes]:
    del facts
    request = token_service_pb2.MintTokenRequest(
        client_id=CLIENT_ID,
        client_credentials=token_service_pb2.ClientCredentialsGrant(),
        scope=SCOPES,
        resource=[AUDIENCE],
    )
    return [request.SerializeToString()]


def _batch_mint_requests(facts: Facts) -> Sequence[bytes]:
    del facts
    item = token_service_pb2.BatchMintTokensItem(
        client_credentials=token_service_pb2.ClientCredentialsGrant(), scope=SCOPES, resource=[AUDIENCE]
    )
    request = token_service_pb2.BatchMintTokensRequest(client_id=CLIENT_ID, items=[item] * BATCH)
    return [request.SerializeToString()]


def _introspect_requests(facts: Facts, tokens: slice) -> Sequence[bytes]:
    return [
        introspection_service_pb2.IntrospectTokenRequest(token=token).SerializeToString()
        for token in facts.tokens[tokens]
    ]


def _batch_introspect_requests(facts: Facts, tokens: slice) -> Sequence[bytes]:
    chosen = facts.tokens[tokens]
    batches = [chosen[start : start + BATCH] for start in range(0, len(chosen), BATCH)]
    return [
        introspection_service_pb2.BatchIntrospectTokensRequest(
            items=[introspection_service_pb2.BatchIntrospectTokensItem(token=token) for token in batch]
        ).SerializeToString()
        for batch in batches
    ]


def _check_empty(reply: bytes, facts: Facts) -> None:
    del facts
    if reply:
        raise ReplyError("The empty handler replied with something.")


def _check_mint(reply: bytes, facts: Facts) -> None:
    _verify(token_service_pb2.MintTokenResponse.FromString(reply).token.value, facts)


def _check_batch_mint(reply: bytes, facts: Facts) -> None:
    results = token_service_pb2.BatchMintTokensResponse.FromString(reply).results
    if len(results) != BATCH:
        raise ReplyError(f"{len(results)} results came for {BATCH} items.")
    for result in results:
        if result.WhichOneof("outcome") != "token":
            raise ReplyError(f"An item of the batch failed: {result.error.message}")
        _verify(result.token.value, facts)
    if len({result.token.token_id for result in results}) != BATCH:
        raise ReplyError("Two tokens of a batch have the same id.")


def _check_introspect(reply: bytes, facts: Facts) -> None:
    del facts
    _require_active(introspection_service_pb2.IntrospectTokenResponse.FromString(reply))


def _check_batch_introspect(reply: bytes, facts: Facts) -> None:
    del facts
    results = introspection_service_pb2.BatchIntrospectTokensResponse.FromString(reply).results
    if len(results) != BATCH:
        raise ReplyError(f"{len(results)} results came for {BATCH} items.")
    for result in results:
        _require_active(result)


def _require_active(
    answer: introspection_service_pb2.IntrospectTokenResponse
    | introspection_service_pb2.BatchIntrospectTokensResult,
) -> None:
    if not answer.active:
        raise ReplyError("An active token was introspected as not active.")
    if (answer.token.client_id, *answer.token.audience) != (CLIENT_ID, AUDIENCE):
        raise ReplyError("An introspected token names another client or audience.")


def _verify(token: str, facts: Facts) -> None:
    """Verify *token* with a library of somebody else's making."""
    try:
        key = facts.keys[jwt.get_unverified_header(token)["kid"]]
        claims = jwt.decode(token, key, [Algorithm.EDDSA, Algorithm.ES256], audience=AUDIENCE, issuer=ISSUER)
    except (jwt.PyJWTError, KeyError) as error:
        raise ReplyError(f"A minted token does not verify: {error}") from error
    if claims["client_id"] != CLIENT_ID or set(claims["scope"].split()) != set(SCOPES):
        raise ReplyError("A minted token has other claims than were asked for.")


def _mint(name: str, server: str) -> Case:
    method = "/countersign.v1.TokenService/MintToken"
    return Case(name, f"MintToken, {server}", server, CLIENT, method, 1, _mint_requests, _check_mint)


def _batch_mint(name: str, server: str) -> Case:
    method = "/countersign.v1.TokenService/BatchMintTokens"
    title = f"BatchMintTokens of {BATCH}, {server}"
    return Case(name, title, server, CLIENT, method, BATCH, _batch_mint_requests, _check_batch_mint)


def _introspect(name: str, kind: str, tokens: slice) -> Case:
    method = "/countersign.v1.IntrospectionService/IntrospectToken"
    requests = partial(_introspect_requests, tokens=tokens)
    return Case(
        name, f"IntrospectToken, {kind}", FILE_EDDSA, RESOURCE, method, 1, requests, _check_introspect
    )


def _batch_introspect(name: str, kind: str, tokens: slice) -> Case:
    method = "/countersign.v1.IntrospectionService/BatchIntrospectTokens"
    requests = partial(_batch_introspect_requests, tokens=tokens)
    title = f"BatchIntrospectTokens of {BATCH}, {kind}"
    return Case(name, title, FILE_EDDSA, RESOURCE, method, BATCH, requests, _check_batch_introspect)


CASES: Sequence[Case] = (
    Case(
        "empty",
        "empty grpc.aio handler",
        EMPTY_SERVER,
        CLIENT,
        EMPTY_METHOD,
        1,
        _empty_requests,
        _check_empty,
    ),
    _mint("mint_file_eddsa", FILE_EDDSA),
    _mint("mint_softhsm_es256", SOFTHSM_ES256),
    _mint("mint_softhsm_eddsa", SOFTHSM_EDDSA),
    _batch_mint("batch_mint_100", FILE_EDDSA),
    _batch_mint("batch_mint_100_softhsm_es256", SOFTHSM_ES256),
    _introspect("introspect", "known tokens", _KNOWN),
    _introspect("introspect_fresh", "fresh tokens", _FRESH),
    _batch_introspect("batch_introspect_100", "known tokens", _KNOWN),
    _batch_introspect("batch_introspect_100_fresh", "fresh tokens", _FRESH_BATCHES),
)


@dataclass(frozen=True, slots=True)
class Ratio:
    """Items per second of one case over those of another, and the least that is aimed at, if any."""

    name: str
    case: str
    base: str
    target: float | None


RATIOS: Sequence[Ratio] = (
    Ratio("mint_file_eddsa_vs_empty", "mint_file_eddsa", "empty", 0.6),
    Ratio("mint_softhsm_es256_vs_empty", "mint_softhsm_es256", "empty", 0.5),
    Ratio("mint_softhsm_eddsa_vs_empty", "mint_softhsm_eddsa", "empty", None),
    Ratio("introspect_vs_empty", "introspect", "empty", 0.5),
    Ratio("introspect_fresh_vs_empty", "introspect_fresh", "empty", 0.5),
    Ratio("batch_mint_100_vs_mint", "batch_mint_100", "mint_file_eddsa", 4.0),
    Ratio("batch_mint_100_vs_mint_softhsm_es256", "batch_mint_100_softhsm_es256", "mint_softhsm_es256", None),
    Ratio("batch_introspect_100_vs_introspect", "batch_introspect_100", "introspect", None),
    Ratio(
        "batch_introspect_100_fresh_vs_introspect_fresh",
        "batch_introspect_100_fresh",
        "introspect_fresh",
        None,
    ),
)
