"""Minting the access token by which a backend vouches for a device, for a proof of the device's key.

The backend is authenticated at the door and says what it knows of the device; the proof must say the same.
Clauses: wire-server `createClientDPoPAccessToken`, rusty-jwt-tools `generate_access_token`. Where those are
lenient this is not: a team that only one side names is a mismatch in both generations.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from gateway.audit.events import DeviceTokenMinted
from gateway.audit.ports import NO_TRAIL, AuditTrail
from gateway.clock import Clock
from gateway.enrollment.client_access_token import BACKDATE, LIFETIME, ClientAccessToken, encoded_header
from gateway.enrollment.device_proof import (
    DeviceProof,
    ExpectedDevice,
    ProofError,
    ProofFault,
    ProofLimits,
    check_device_proof,
    same,
)
from gateway.enrollment.targets import TargetTemplate
from gateway.enrollment.wire_names import (
    ClientUri,
    Generation,
    WireNameError,
    require_display_name,
    require_domain,
)
from gateway.errors import Reason, RequestError
from gateway.jose.jws import assemble, signing_input
from gateway.keys.keyring import Keyring, SigningKey
from gateway.keys.model import KeyPurpose
from gateway.proofs.dpop_errors import DpopError
from gateway.proofs.dpop_proof import single_proof
from gateway.proofs.nonces import NonceError
from signers import Algorithm

_MAX_TEAM: Final = 256


class ClientNonces(Protocol):
    """Nonces for one device and one use: `gateway.proofs.single_use_nonces.SingleUseNonces`."""

    def issue(self, *, subject: str) -> str:
        """A new nonce for *subject*."""
        ...

    async def use(self, nonce: str, *, subject: str) -> None:
        """Use it up; exactly one caller returns. Raises `NonceError`, `AvailabilityError`."""
        ...


@dataclass(frozen=True, slots=True)
class ClientTokenRequest:
    """What a backend says of its device, and the device's proof as the ``DPoP`` header carried it.

    - *client_id*: a URI of either generation, which decides the rules.
    - *handle*: without domain and without ``@``.
    - *team*: None for a user of no team.
    - *proof*: a compact JWS, or the base64url encoding of one, as some clients send it.
    - *nonce*: the nonce that the backend handed to the device, where it remembers that; else None.
    """

    client_id: str
    handle: str
    display_name: str
    team: str | None
    domain: str
    proof: str = field(repr=False)
    nonce: str | None = None


@dataclass(frozen=True, slots=True)
class MintedClientToken:
    """The token as a compact JWS, and what it says."""

    value: str
    token: ClientAccessToken


class ClientTokenMinter:
    """Checks the proof by every rule, uses up its nonce, and has the token signed."""

    def __init__(
        self,
        *,
        keyring: Keyring,
        algorithm: Algorithm,
        nonces: ClientNonces,
        target: TargetTemplate,
        proof_max_lifetime: int,
        clock_skew: int,
        clock: Clock,
        new_token_id: Callable[[], str] = lambda: str(uuid.uuid4()),
        trail: AuditTrail = NO_TRAIL,
    ) -> None:
        """*target*: where devices believe that tokens are minted; *proof_max_lifetime* and skew: seconds."""
        self._keyring = keyring
        self._algorithm = algorithm
        self._nonces = nonces
        self._target = target
        self._proof_max_lifetime = proof_max_lifetime
        self._clock_skew = clock_skew
        self._clock = clock
        self._trail = trail
        self._new_token_id = new_token_id
        self._headers: tuple[SigningKey, str] | None = None

    def issue_nonce(self, client_id: str) -> str:
        """A nonce for the device *client_id*, which its proof must carry. Raises `RequestError`."""
        return self._nonces.issue(subject=_client(client_id).normal)

    async def mint(self, request: ClientTokenRequest) -> MintedClientToken:
        """One token for the device that *request* proves.

        The nonce is used up last, when everything else is good, and before anything is signed. Raises
        `RequestError`: INVALID_FIELD for what the backend says, CLIENT_PROOF_REFUSED for the proof, with the
        `ProofFault` as metadata ``fault``; `AvailabilityError`, NO_ACTIVE_KEY before the nonce is used up;
        `SignerError`.
        """
        client, expected = self._expected(request)
        key = self._keyring.signing_key(KeyPurpose.CLIENT_ACCESS_TOKENS, self._algorithm)
        now = self._clock()
        limits = ProofLimits(now, self._proof_max_lifetime, self._clock_skew)
        try:
            proof = check_device_proof(_compact(request.proof), expected, limits)
            proof.require_team(request.team)
            await self._use_nonce(proof, request.nonce, client)
        except ProofError as error:
            raise refused(error) from error
        token = self._token(proof, client, str(expected.target), int(now))
        message = signing_input(self._header(key), token.payload())
        signature = await key.signer.sign(message)
        await self._trail.record(
            DeviceTokenMinted(token.subject, token.token_id, token.key_id, token.expire_time)
        )
        return MintedClientToken(assemble(message, signature), token)

    def _header(self, key: SigningKey) -> str:
        """The header of every token by *key*, made once."""
        if self._headers is None or self._headers[0] is not key:
            self._headers = key, encoded_header(key.algorithm, key.signer.public_key)
        return self._headers[1]

    def _expected(self, request: ClientTokenRequest) -> tuple[ClientUri, ExpectedDevice]:
        client = _client(request.client_id)
        second = client.generation is Generation.SECOND
        try:
            if require_domain(request.domain) != client.domain:
                raise RequestError(
                    Reason.INVALID_FIELD, "The domain is not that of the client id.", field="domain"
                )
            handle = client.generation.handle_uri(request.handle, request.domain)
            require_display_name(request.display_name)
        except WireNameError as error:
            raise RequestError(
                Reason.INVALID_FIELD, f"The device is not described: {error}.", cause="wire_name"
            ) from error
        if request.team is not None and not 1 <= len(request.team) <= _MAX_TEAM:
            raise RequestError(Reason.INVALID_FIELD, f"A team has 1 to {_MAX_TEAM} characters.", field="team")
        target = self._target.of(client)
        name = request.display_name if second else None
        return client, ExpectedDevice(client, handle, target, name)

    async def _use_nonce(self, proof: DeviceProof, nonce: str | None, client: ClientUri) -> None:
        if nonce is not None and not same(proof.nonce, nonce):
            raise ProofError(ProofFault.NONCE_MISMATCH, "the nonce is another one", member="nonce")
        try:
            await self._nonces.use(proof.nonce, subject=client.normal)
        except NonceError as error:
            raise ProofError(ProofFault.NONCE_MISMATCH, str(error), member="nonce") from error

    def _token(self, proof: DeviceProof, client: ClientUri, target: str, now: int) -> ClientAccessToken:
        return ClientAccessToken(
            issue_time=now - BACKDATE,
            expire_time=now + LIFETIME,
            issuer=target,
            subject=client.text,
            audience=proof.audience or target,
            token_id=self._new_token_id(),
            nonce=proof.nonce,
            challenge=proof.challenge,
            key_id=proof.jkt,
            proof=proof.compact,
        )


def refused(error: ProofError) -> RequestError:
    """What a caller is told of *error*; to be raised from it."""
    metadata = {"fault": error.fault.value} | ({} if error.member is None else {"member": error.member})
    return RequestError(
        Reason.CLIENT_PROOF_REFUSED,
        "The device's proof was refused.",
        field="dpop_proof",
        metadata=metadata,
        cause=error.fault.value,
    )


def _client(client_id: str) -> ClientUri:
    try:
        return ClientUri.parse(client_id)
    except WireNameError as error:
        raise RequestError(Reason.INVALID_FIELD, f"{error}.".capitalize(), field="client_id") from error


def _compact(value: str) -> str:
    if not value:
        raise ProofError(ProofFault.HEADER_MISSING, "there is no proof")
    try:
        return single_proof([value], allow_encoded=True)
    except DpopError as error:
        raise ProofError(ProofFault.MALFORMED, f"the proof was refused as {error.fault}") from error
