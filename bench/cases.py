"""What is measured: each case as data, its requests, and what its replies must hold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from countersign.v1 import introspection_service_pb2, token_service_pb2

from bench import empty_server, http_messages
from bench.certificates import ADMIN, CLIENT, RESOURCE
from bench.connections import Kind
from bench.facts import (
    AUDIENCE,
    CLIENT_ID,
    DPOP_CLIENT_ID,
    ISSUER,
    SCOPES,
    Facts,
    ReplyError,
    verify_token,
)
from signers import Algorithm

BATCH = 100
KNOWN = 5 * BATCH
"""Tokens that are introspected again and again, as those of a resource server's regular callers are."""

FRESH = 12_000
"""Tokens introspected in turn, so many that the gateway, which remembers 10,000 verified ones per worker, has
forgotten each of them when it comes again."""

TOKENS = KNOWN + 2 * FRESH
_KNOWN = slice(KNOWN)
_FRESH = slice(KNOWN, KNOWN + FRESH)
_FRESH_BATCHES = slice(KNOWN + FRESH, TOKENS)

EMPTY_SERVER = "empty"
EMPTY_METHOD = f"/{empty_server.SERVICE}/{empty_server.METHOD}"
OIDC_PROVIDER = "npm oidc-provider"
FILE_EDDSA = "file EdDSA"
FILE_ES256 = "file ES256"
SOFTHSM_ES256 = "SoftHSM ES256"
SOFTHSM_EDDSA = "SoftHSM EdDSA"


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where a gateway's only signing key lies, and whether the gateway serves HTTPS too."""

    algorithm: Algorithm
    softhsm: bool
    https: bool = False


GATEWAYS = {
    FILE_EDDSA: KeySource(Algorithm.EDDSA, softhsm=False),
    FILE_ES256: KeySource(Algorithm.ES256, softhsm=False, https=True),
    SOFTHSM_ES256: KeySource(Algorithm.ES256, softhsm=True),
    SOFTHSM_EDDSA: KeySource(Algorithm.EDDSA, softhsm=True),
}


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to measure.

    - `server`: `EMPTY_SERVER`, `OIDC_PROVIDER` or one of `GATEWAYS`.
    - `caller`: whose certificate is presented over gRPC.
    - `method`: full gRPC name, or the path of HTTPS; `items`: tokens that one call mints or introspects.
    - `kind`: how calls are made; `target`: what the DPoP proof of each is for, where they carry any.
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
    kind: Kind = Kind.GRPC
    target: str = ""


def _empty_requests(facts: Facts) -> Sequence[bytes]:
    """As many bytes as a MintToken request, so that both cost the wire the same."""
    return [b"\0" * len(request) for request in mint_requests(facts)]


def mint_requests(facts: Facts, client_id: str = CLIENT_ID) -> Sequence[bytes]:
    """MintToken, serialized."""
    del facts
    request = token_service_pb2.MintTokenRequest(
        client_id=client_id,
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


def introspect_requests(facts: Facts, tokens: slice) -> Sequence[bytes]:
    """IntrospectToken, serialized, for those *tokens* of *facts*."""
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


def _check_mint(reply: bytes, facts: Facts, client_id: str = CLIENT_ID) -> None:
    claims = verify_token(token_service_pb2.MintTokenResponse.FromString(reply).token.value, facts, client_id)
    expected = "jkt" if client_id == DPOP_CLIENT_ID else "x5t#S256"
    if set(claims.get("cnf", {})) != {expected}:
        raise ReplyError(f"A minted token is not bound by {expected} alone.")


def _check_batch_mint(reply: bytes, facts: Facts) -> None:
    results = token_service_pb2.BatchMintTokensResponse.FromString(reply).results
    if len(results) != BATCH:
        raise ReplyError(f"{len(results)} results came for {BATCH} items.")
    for result in results:
        if result.WhichOneof("outcome") != "token":
            raise ReplyError(f"An item of the batch failed: {result.error.message}")
        verify_token(result.token.value, facts, CLIENT_ID)
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


def _check_revoked(reply: bytes, facts: Facts) -> None:
    del facts
    if not reply:
        raise ReplyError("A revocation came without the id of its token.")


def _mint(name: str, server: str) -> Case:
    method = "/countersign.v1.TokenService/MintToken"
    return Case(name, f"MintToken, {server}", server, CLIENT, method, 1, mint_requests, _check_mint)


def _mint_dpop(name: str, server: str) -> Case:
    method = "/countersign.v1.TokenService/MintToken"
    return Case(
        name,
        f"MintToken with a DPoP proof, {server}",
        server,
        CLIENT,
        method,
        1,
        partial(mint_requests, client_id=DPOP_CLIENT_ID),
        partial(_check_mint, client_id=DPOP_CLIENT_ID),
        Kind.DPOP,
        ISSUER + method,
    )


def _client_credentials(name: str, server: str, path: str) -> Case:
    return Case(
        name,
        f"client_credentials over HTTPS, {server}",
        server,
        CLIENT,
        path,
        1,
        partial(http_messages.token_requests, path=path),
        http_messages.check_token,
        Kind.HTTPS,
    )


def _revoke_to_stream(name: str, server: str) -> Case:
    return Case(
        name,
        "RevokeToken until WatchRevocations has it",
        server,
        ADMIN,
        "/countersign.v1.TokenService/RevokeToken",
        1,
        lambda _: [b""],
        _check_revoked,
        Kind.REVOCATIONS,
    )


def batch_mint(name: str, server: str) -> Case:
    """Batches of `BATCH` tokens."""
    method = "/countersign.v1.TokenService/BatchMintTokens"
    title = f"BatchMintTokens of {BATCH}, {server}"
    return Case(name, title, server, CLIENT, method, BATCH, _batch_mint_requests, _check_batch_mint)


def _introspect(name: str, kind: str, tokens: slice) -> Case:
    method = "/countersign.v1.IntrospectionService/IntrospectToken"
    requests = partial(introspect_requests, tokens=tokens)
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
    _mint("mint_file_es256", FILE_ES256),
    _mint_dpop("mint_dpop_file_es256", FILE_ES256),
    _client_credentials("client_credentials", FILE_ES256, "/oauth2/token"),
    _client_credentials("client_credentials_oidc_provider", OIDC_PROVIDER, "/token"),
    batch_mint("batch_mint_100", FILE_EDDSA),
    batch_mint("batch_mint_100_file_es256", FILE_ES256),
    batch_mint("batch_mint_100_softhsm_es256", SOFTHSM_ES256),
    _introspect("introspect", "known tokens", _KNOWN),
    _introspect("introspect_fresh", "fresh tokens", _FRESH),
    _batch_introspect("batch_introspect_100", "known tokens", _KNOWN),
    _batch_introspect("batch_introspect_100_fresh", "fresh tokens", _FRESH_BATCHES),
    _revoke_to_stream("revoke_to_stream", FILE_ES256),
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
    Ratio("mint_dpop_vs_mint", "mint_dpop_file_es256", "mint_file_es256", None),
    Ratio(
        "client_credentials_vs_oidc_provider", "client_credentials", "client_credentials_oidc_provider", 1.5
    ),
    Ratio(
        "batch_mint_100_vs_oidc_provider",
        "batch_mint_100_file_es256",
        "client_credentials_oidc_provider",
        None,
    ),
    Ratio("mint_file_es256_vs_oidc_provider", "mint_file_es256", "client_credentials_oidc_provider", None),
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
