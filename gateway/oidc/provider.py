"""One upstream provider: its configuration, and its metadata and keys as they are now."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.clock import Clock
from gateway.fetching import (
    Fetched,
    FetchError,
    FetchPolicy,
    FetchRequest,
    GuardedClient,
    freshness_lifetime,
)
from gateway.jose.errors import JoseError, JoseFault
from gateway.jose.jwk import Jwk, JwkSet
from gateway.oidc.errors import IdTokenError, OidcFault, ProviderError
from gateway.oidc.metadata import ProviderMetadata, discovery_request, parse_metadata
from gateway.oidc.refreshing import Refreshed, Refreshing, RefreshPolicy
from signers import Algorithm

MAX_KEYS: Final = 64
_OK: Final = 200
_KEY_SET_TYPES: Final = ("application/json", "application/jwk-set+json")
_KEY_FAULTS: Final[Mapping[JoseFault, OidcFault]] = {
    JoseFault.KEY_NOT_FOUND: OidcFault.KEY_NOT_FOUND,
    JoseFault.KEY_AMBIGUOUS: OidcFault.KEY_AMBIGUOUS,
}

DEFAULT_ALGORITHMS: Final = frozenset(
    {Algorithm.RS256, Algorithm.PS256, Algorithm.ES256, Algorithm.ES384, Algorithm.EDDSA}
)


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """What an operator says about a provider. Times are in seconds.

    - `issuer`: exactly as the provider spells it; ``https``, without query and fragment.
    - `client_id`: ours (or the one shared by the clients whose tokens we check): the audience of ID tokens.
    - `algorithms`: what ID tokens may be signed with.
    - `trusted_audiences`: audiences that may stand beside `client_id` (Core §3.1.3.7 rule 3).
    - `clock_skew`: forgiven each way.
    - `max_token_age`: the furthest that ``iat`` may lie back; None leaves it to ``exp``.
    - `endpoints`: set for a provider without discovery; its `issuer` must be the same.
    - `metadata_refresh`, `keys_refresh`: see `RefreshPolicy`.
    - `fetch_policy`: ports, size and deadline of requests to it.
    """

    issuer: str
    client_id: str
    algorithms: frozenset[Algorithm] = DEFAULT_ALGORITHMS
    trusted_audiences: frozenset[str] = frozenset()
    clock_skew: int = 10
    max_token_age: int | None = None
    endpoints: ProviderMetadata | None = None
    metadata_refresh: RefreshPolicy = field(default_factory=RefreshPolicy)
    keys_refresh: RefreshPolicy = field(default_factory=lambda: RefreshPolicy(default_age=600, max_age=3_600))
    fetch_policy: FetchPolicy = field(default_factory=FetchPolicy)

    def __post_init__(self) -> None:
        if not self.issuer.startswith("https://") or "?" in self.issuer or "#" in self.issuer:
            raise ValueError("an issuer is an https URL without query and fragment (OpenID Connect Core §2)")
        if self.endpoints is not None and self.endpoints.issuer != self.issuer:
            raise ValueError("the endpoints are another issuer's")
        if not self.client_id or not self.algorithms:
            raise ValueError("a client_id and at least one algorithm are needed")


class Provider:
    """Metadata and keys of one provider, refreshed when asked for. Owns no task; belongs to one event
    loop.
    """

    def __init__(self, config: ProviderConfig, *, client: GuardedClient, clock: Clock) -> None:
        self.config = config
        self._client = client
        self._clock = clock
        self._metadata = Refreshing(
            self._fetch_metadata,
            what=f"Metadata of {config.issuer}",
            policy=config.metadata_refresh,
            clock=clock,
        )
        self._keys = Refreshing(
            self._fetch_keys, what=f"Keys of {config.issuer}", policy=config.keys_refresh, clock=clock
        )

    async def metadata(self) -> ProviderMetadata:
        """The metadata: configured, or discovered and kept. Raises `ProviderError`."""
        if self.config.endpoints is not None:
            return self.config.endpoints
        metadata, _ = await self._metadata.get()
        return metadata

    async def key(self, kid: str | None, algorithm: Algorithm) -> Jwk:
        """The one key for a token's *kid* and *algorithm*; no signature is tried against several.

        A key that is not there is looked for once more in a set fetched anew, as often as `renewal_interval`
        allows: so a provider rotates (Core §10.1.1), and tokens that name keys at random cost it little. That
        a key does not exist is only said of a set fetched during this call. Raises `IdTokenError` with
        `KEY_NOT_FOUND` or `KEY_AMBIGUOUS`, and `ProviderError`, `NOT_RENEWED` among them.
        """
        started = self._clock()
        keys, generation = await self._keys.get()
        try:
            return keys.select(kid, algorithm)
        except JoseError as error:
            if error.code is not JoseFault.KEY_NOT_FOUND:
                raise _key_error(error) from error
        keys, _ = await self._keys.renewed(generation, since=started)
        try:
            return keys.select(kid, algorithm)
        except JoseError as error:
            raise _key_error(error) from error

    async def fetch(self, request: FetchRequest) -> Fetched:
        """Make *request*, to one of the provider's endpoints. Raises `ProviderError`."""
        try:
            return await self._client.fetch(request, self.config.fetch_policy)
        except FetchError as error:
            retry_after = self.config.metadata_refresh.retry_interval if error.transient else None
            message = f"a request ended as {error.fault}"
            raise ProviderError(OidcFault.PROVIDER_UNREACHABLE, message, retry_after=retry_after) from error

    async def _fetch_metadata(self) -> Refreshed[ProviderMetadata]:
        fetched = await self._fetch_ok(discovery_request(self.config.issuer))
        metadata = parse_metadata(fetched.body, issuer=self.config.issuer, check_url=self._check_url)
        return Refreshed(metadata, freshness_lifetime(fetched))

    async def _fetch_keys(self) -> Refreshed[JwkSet]:
        metadata = await self.metadata()
        fetched = await self._fetch_ok(FetchRequest(metadata.jwks_uri, accept=_KEY_SET_TYPES))
        try:
            keys = JwkSet.parse(fetched.body, max_keys=MAX_KEYS, ignore_unsupported=True)
        except JoseError as error:
            message = f"the key set was refused as {error.code}"
            raise ProviderError(OidcFault.KEYS_INVALID, message, member=error.member) from error
        return Refreshed(keys, freshness_lifetime(fetched))

    async def _fetch_ok(self, request: FetchRequest) -> Fetched:
        fetched = await self.fetch(request)
        if fetched.status != _OK:
            message = f"the provider answered {fetched.status}"
            raise ProviderError(
                OidcFault.PROVIDER_STATUS, message, retry_after=self.config.keys_refresh.retry_interval
            )
        return fetched

    def _check_url(self, url: str) -> None:
        self._client.parse(url, self.config.fetch_policy)


def _key_error(error: JoseError) -> IdTokenError:
    fault = _KEY_FAULTS.get(error.code, OidcFault.KEY_NOT_FOUND)
    return IdTokenError(fault, "no single key of the provider fits the token", member="kid")
