"""Enrollment for tests: the real use cases over a real database, real keys and a real CA; and devices.

The OpenID provider is one without a network: its keys are at hand, and the rules are the gateway's own.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.enrollment.accounts import AccountWish
from gateway.enrollment.answers import AccessTokenAnswer, IdTokenAnswer
from gateway.enrollment.authorities import IssuingAuthority
from gateway.enrollment.core import Enrollment, Repositories, wire_enrollment
from gateway.enrollment.domain_validation import DomainValidator
from gateway.enrollment.minter import ClientTokenMinter, ClientTokenRequest
from gateway.enrollment.model import Account, ChallengeType, Order
from gateway.enrollment.orders import OrderWish
from gateway.enrollment.provisioners import Provisioner, Provisioners, WireDpop, WireOidc
from gateway.enrollment.targets import TargetTemplate
from gateway.enrollment.wire_names import Generation
from gateway.jose import parse_compact, verify
from gateway.jose.errors import JoseError
from gateway.jose.jwk import Jwk, parse_jwk
from gateway.keys.declared import new_record
from gateway.keys.keyring import Keyring, KeyringView
from gateway.keys.model import KeyPurpose, KeyState
from gateway.oidc.id_token import Expected, IdToken, TokenRules, check_header, read_id_token, refusal
from gateway.oidc.mapping import WIRE_DEVICE_AND_USER, WIREAPP_ID
from gateway.oidc.provider import DEFAULT_ALGORITHMS
from gateway.pki.profile import Validity
from gateway.pki.wire import DISPLAY_NAME_OID, wire_profile
from gateway.proofs.single_use_nonces import SingleUseNonces
from gateway.store import Store, open_store
from signers import Algorithm, Signer
from signers.key_files import generate_private_key, write_private_key
from signers.registry import SignerRegistry
from tests.support.dpop import Prover
from tests.support.issuing import ca_certificate
from tests.support.pki import Authority, pem
from tests.support.wire import DEVICE, DOMAIN, FIRST, HANDLE, NAME, SECOND, TARGET, TEAM, Device, prover

NOW = 1_900_000_000.0
ISSUER = "https://idp.example.org"
CLIENT = "wireapp"
URL = "https://ca.example.org/acme/wire"
OWNER = "spiffe://example.org/backend"


class Clock:
    """Stands still at *now* until it is moved."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass
class StaticProvider:
    """An OpenID provider whose only key is *key*; it judges by the gateway's rules."""

    clock: Clock
    key: Jwk
    rules: TokenRules
    failure: Exception | None = None

    async def verify(self, token: str) -> IdToken:
        """As `IdTokenVerifier.verify`."""
        if self.failure is not None:
            raise self.failure
        try:
            jws = parse_compact(token)
            check_header(jws, DEFAULT_ALGORITHMS)
            verify(jws, self.key.public_key, jws.header.algorithm)
        except JoseError as error:
            raise refusal(error) from error
        return read_id_token(jws, rules=self.rules, expected=Expected(), now=self.clock())


@dataclass
class Bench:
    """The use cases, and what a test needs to move them."""

    store: Store
    enrollment: Enrollment
    minter: ClientTokenMinter
    clock: Clock
    provider: StaticProvider
    signer_of_ids: Prover
    root: x509.Certificate
    keyring: Keyring
    provisioner: Provisioner
    account_key: Mapping[str, Prover] = field(default_factory=dict)

    async def account(self, device: Prover, *, owner: str = OWNER, provisioner: str = "wire") -> Account:
        """The account of a device's key."""
        key = parse_jwk(device.jwk)
        account, _ = await self.enrollment.accounts.create(
            provisioner, owner, key, AccountWish(), url="/method"
        )
        return account

    async def order(self, account: Account, client_id: str = SECOND, **changes: Any) -> Order:
        """A pending order for the device *client_id*."""
        return await self.enrollment.orders.create(account, OrderWish(identifiers(client_id), **changes))

    def challenge(self, order: Order, kind: ChallengeType) -> tuple[str, str, str, str]:
        """Authorization id, challenge id, token and URL of the order's challenge of *kind*."""
        for authorization in order.authorizations:
            for each in authorization.challenges:
                if each.type is kind:
                    url = self.provisioner.challenge_url(authorization.authorization_id, each.challenge_id)
                    return authorization.authorization_id, each.challenge_id, each.token, url
        raise LookupError(kind)

    async def access_token(self, order: Order, device: Device, **changes: Any) -> str:
        """An access token for the order's challenge, as the backend gets it."""
        _, _, token, url = self.challenge(order, ChallengeType.WIRE_DPOP)
        nonce = self.minter.issue_nonce(device.client_id)
        claims = device.claims(int(self.clock()), nonce, token, url) | changes
        minted = await self.minter.mint(
            ClientTokenRequest(device.client_id, HANDLE, NAME, TEAM, DOMAIN, device.sign(claims))
        )
        return minted.value

    def id_token(self, order: Order, account: Account, **changes: Any) -> str:
        """An ID token of the user for the order's challenge."""
        _, _, token, url = self.challenge(order, ChallengeType.WIRE_OIDC)
        now = int(self.clock())
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": CLIENT,
            "sub": "alice",
            "iat": now,
            "exp": now + 600,
        }
        if order.identifiers[0].type.value == "wireapp-id":
            claims |= {"name": f"im:wireapp=%40{HANDLE}@{DOMAIN}", "preferred_username": NAME}
        else:
            claims |= {"name": NAME, "preferred_username": f"{HANDLE}@{DOMAIN}"}
            claims |= {"keyauth": account.key_authorization(token), "acme_aud": url}
        return signed(self.signer_of_ids, claims | changes)

    async def answer_dpop(self, account: Account, order: Order, token: str) -> Any:
        """Answer wire-dpop-01."""
        authorization, challenge, _, _ = self.challenge(order, ChallengeType.WIRE_DPOP)
        answer = AccessTokenAnswer(token)
        return await self.enrollment.challenges.answer(account, authorization, challenge, answer)

    async def answer_oidc(self, account: Account, order: Order, token: str, keyauth: str | None = "") -> Any:
        """Answer wire-oidc-01; *keyauth* empty is the right one."""
        authorization, challenge, text, _ = self.challenge(order, ChallengeType.WIRE_OIDC)
        proof = account.key_authorization(text) if keyauth == "" else keyauth
        answer = IdTokenAnswer(token, proof)
        return await self.enrollment.challenges.answer(account, authorization, challenge, answer)

    async def ready(self, account: Account, device: Device) -> Order:
        """An order with both challenges answered."""
        order = await self.order(account, device.client_id)
        await self.answer_dpop(account, order, await self.access_token(order, device))
        await self.answer_oidc(account, order, self.id_token(order, account))
        return await self.enrollment.orders.get(account, order.order_id)


def identifiers(client_id: str) -> Sequence[tuple[str, str]]:
    """The identifiers of an order for *client_id*, by its generation."""
    first = client_id.startswith("im:")
    handle = f"{'im:wireapp=' if first else 'wireapp://'}%40{HANDLE}@{DOMAIN}"
    user = {"name": NAME, "domain": DOMAIN, "handle": handle}
    device = json.dumps(user | {"client-id": client_id})
    if first:
        return [("wireapp-id", device)]
    return [("wireapp-device", device), ("wireapp-user", json.dumps(user))]


def signed(key: Prover, claims: Mapping[str, Any]) -> str:
    """A JWT."""
    header = {"alg": key.alg, "kid": "1"}
    return key.signed(json.dumps(header).encode(), json.dumps(dict(claims)).encode())


def wire_csr(key: Any, client_id: str = SECOND, **changes: Any) -> bytes:
    """The DER of a request as a Wire client makes it, with any part changed."""
    values = {"organization": DOMAIN, "name": NAME} | changes
    first = client_id.startswith("im:")
    handle = f"{'im:wireapp=' if first else 'wireapp://'}%40{HANDLE}@{DOMAIN}"
    uris = values.get("uris", [client_id, handle])
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(
            x509.Name(
                [
                    x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, values["organization"]),
                    x509.NameAttribute(x509.ObjectIdentifier(DISPLAY_NAME_OID), values["name"]),
                ]
            )
        )
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris]), critical=False
        )
    )
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(Encoding.DER)


async def _key(
    registry: SignerRegistry, folder: Path, purpose: KeyPurpose, algorithm: Algorithm
) -> tuple[Any, Signer]:
    path = folder / f"{purpose}.pem"
    if not path.exists():
        write_private_key(path, generate_private_key(algorithm), None, key=purpose.value)
    signer = await registry.open(f"file:{path}", algorithm)
    return new_record(signer, purpose, f"file:{path}", KeyState.ACTIVE, NOW), signer


@asynccontextmanager
async def bench(
    folder: Path,
    *,
    url: str | None = None,
    algorithm: Algorithm = Algorithm.ES256,
    domains: DomainValidator | None = None,
    extra: Sequence[Provisioner] = (),
    provisioner: Mapping[str, Any] | None = None,
    start: float = NOW,
) -> AsyncIterator[Bench]:
    """Enrollment with one provisioner ``wire``, whose CA's key has *algorithm*, and a clock at *start*."""
    clock = Clock(start)
    async with (
        SignerRegistry() as registry,
        open_store(url or f"sqlite:///{folder}/state.db", clock=clock, migrate=True) as opened,
    ):
        pairs = [
            await _key(registry, folder, KeyPurpose.CERTIFICATES, algorithm),
            await _key(registry, folder, KeyPurpose.CLIENT_ACCESS_TOKENS, Algorithm.EDDSA),
            await _key(registry, folder, KeyPurpose.OCSP_RESPONSES, Algorithm.ES256),
        ]
        ring = Keyring()
        ring.replace(
            KeyringView(tuple(record for record, _ in pairs), {signer.key_id: signer for _, signer in pairs})
        )
        root = Authority.root()
        now = datetime.fromtimestamp(start, UTC)
        chain = pem(
            ca_certificate(pairs[0][1].public_key, root, now, life=(-timedelta(days=1), timedelta(days=4000)))
        )
        signer_of_ids = prover("ES256")
        rules = TokenRules(ISSUER, CLIENT, frozenset(), 10, None)
        provider = StaticProvider(clock, parse_jwk(signer_of_ids.jwk), rules)
        minter_key = pairs[1][1]
        wire = Provisioner(
            **(
                {
                    "name": "wire",
                    "url": URL,
                    "challenges": frozenset({ChallengeType.WIRE_OIDC, ChallengeType.WIRE_DPOP}),
                    "profile": wire_profile("wire", validity=Validity(timedelta(days=90))),
                    "authority": IssuingAuthority(chain, keyring=ring, clock=clock),
                    "order_lifetime": 86_400,
                    "oidc": WireOidc(
                        provider,
                        ISSUER,
                        {Generation.FIRST: WIREAPP_ID, Generation.SECOND: WIRE_DEVICE_AND_USER},
                    ),
                    "dpop": WireDpop(
                        TargetTemplate.parse(TARGET),
                        lambda: [(minter_key.algorithm, minter_key.public_key)],
                    ),
                }
                | dict(provisioner or {})
            )
        )

        def nonces(space: str) -> SingleUseNonces:
            return SingleUseNonces([bytes(32)], space=space, lifetime=300, replay=opened.replay, clock=clock)

        enrollment = wire_enrollment(
            provisioners=Provisioners([wire, *extra]),
            repositories=Repositories(
                opened.accounts, opened.external_accounts, opened.orders, opened.certificates
            ),
            nonces=nonces("acme"),
            domains=domains,
            keyring=ring,
            ocsp_algorithm=Algorithm.ES256,
            clock=clock,
        )
        minter = ClientTokenMinter(
            keyring=ring,
            algorithm=Algorithm.EDDSA,
            nonces=nonces("wire-device"),
            target=TargetTemplate.parse(TARGET),
            proof_max_lifetime=300,
            clock_skew=10,
            clock=clock,
        )
        yield Bench(opened, enrollment, minter, clock, provider, signer_of_ids, root.certificate, ring, wire)


def p256_key() -> ec.EllipticCurvePrivateKey:
    """A fresh key for a certificate."""
    return ec.generate_private_key(ec.SECP256R1())


__all__ = ["DEVICE", "FIRST", "SECOND", "Bench", "Clock", "Device", "bench", "prover", "wire_csr"]
