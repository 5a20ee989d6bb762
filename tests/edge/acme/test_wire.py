"""Whole enrollments of Wire devices over the edge: ACME, the minter's paths and a real OpenID provider."""

import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio
from cryptography import x509

from gateway.clock import system_clock
from gateway.fetching import DangerousLoopbackDoor, DnsResolver, GuardedClient
from gateway.oidc import LoginWishes, Provider, ProviderConfig, PublicClient, RelyingParty
from gateway.pki.wire import PROVISIONER_OID
from tests.support.acme import AcmeClient, AcmeGateway, acme_gateway, encoded
from tests.support.certificate_tools import WIRE_FINDINGS, accepted
from tests.support.enrollment import identifiers, wire_csr
from tests.support.oidc_provider import OidcProvider, public_client
from tests.support.pki import Authority, pem
from tests.support.wire import DEVICE, DOMAIN, FIRST, HANDLE, NAME, SECOND, TARGET, TEAM, Device, prover

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALLBACK = "https://app.example.org/callback"
FIRST_HANDLE = f"im:wireapp=%40{HANDLE}@{DOMAIN}"
USERS = {
    # What the ID token says of one user, as each generation of clients is used to.
    SECOND: {"name": NAME, "preferred_username": f"{HANDLE}@{DOMAIN}"},
    FIRST: {"name": FIRST_HANDLE, "preferred_username": NAME},
}


@dataclass
class User:
    """Alice, at her browser."""

    provider: OidcProvider
    authority: Authority

    async def log_in(self, client_id: str, claims: dict[str, str]) -> str:
        """An ID token for her device's app."""
        door = DangerousLoopbackDoor(frozenset({"localhost"}), self.authority.pem.decode())
        config = ProviderConfig(self.provider.issuer, "wireapp")
        provider = Provider(config, client=GuardedClient(DnsResolver(), door=door), clock=system_clock)
        party = RelyingParty(provider, authentication=PublicClient(), clock=system_clock)
        wishes = LoginWishes(
            scopes=("profile",),
            claims={"id_token": {name: {"essential": True, "value": text} for name, text in claims.items()}},
            parameters={"login_hint": client_id},
        )
        url, pending = await party.begin(CALLBACK, wishes)
        done = await party.finish(await self.provider.log_in(url), pending)
        return done.tokens.id_token


@dataclass
class Enrollment:
    """A device on its way to a certificate. Every shape that its client insists on is asserted."""

    served: AcmeGateway
    user: User
    acme: AcmeClient
    device: Device

    async def begin(self) -> dict[str, Any]:
        """The account, and a pending order."""
        assert (await self.acme.register(contact=["anonymous@anonymous.invalid"])).status_code == 201
        wish = identifiers(self.device.client_id)
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        created = await self.acme.order(*wish, notBefore=f"{moment}.123456789Z")
        assert created.status_code == 201, created.text
        order: dict[str, Any] = created.json() | {"url": created.headers["location"]}
        assert order["status"] == "pending"
        assert order["notBefore"] == f"{moment}.123456Z"
        assert [(each["type"], each["value"]) for each in order["identifiers"]] == list(wish)
        assert len(order["authorizations"]) == len(wish)
        return order

    async def challenges(self, order: dict[str, Any]) -> dict[str, dict[str, str]]:
        """Both challenges, by type."""
        found = {}
        for url in order["authorizations"]:
            authorization = (await self.acme.post(url)).json()
            assert authorization["status"] == "pending"
            assert len(authorization["challenges"]) == (2 if self.device.first else 1)
            assert authorization["identifier"] in order["identifiers"]
            found |= {each["type"]: each for each in authorization["challenges"]}
        assert found["wire-dpop-01"]["target"] == TARGET.replace("{device}", DEVICE)
        assert found["wire-oidc-01"]["target"] == self.user.provider.issuer
        return found

    async def access_token(self, challenge: dict[str, str]) -> str:
        """The token by which the backend vouches for the device."""
        path = "/clients/token" if self.device.first else f"/clients/{DEVICE}"
        named = f"{path}/nonce?client_id={quote(self.device.client_id, safe='')}"
        nonce = (await self.served.edge.get(named, identity=self.served.backend)).text
        claims = self.device.claims(int(time.time()), nonce, challenge["token"], challenge["url"])
        minted = await self.mint(self.device.sign(claims))
        assert minted.status_code == 200, minted.text
        token: str = minted.json()["token"]
        return token

    async def mint(self, proof: str, **changes: str) -> httpx.Response:
        """Ask for a token."""
        return await self.served.edge.post(
            f"/clients/{DEVICE}/access-token",
            identity=self.served.backend,
            headers={"dpop": proof},
            json={
                "client_id": self.device.client_id,
                "handle": HANDLE,
                "display_name": NAME,
                "domain": DOMAIN,
                "team": TEAM,
            }
            | changes,
        )

    async def answer_dpop(self, challenge: dict[str, str]) -> None:
        """Answer wire-dpop-01; the reply must say valid already."""
        answered = await self.acme.post(
            challenge["url"], {"access_token": await self.access_token(challenge)}
        )
        assert (answered.status_code, answered.json()["status"]) == (200, "valid"), answered.text

    async def answer_oidc(self, challenge: dict[str, str]) -> None:
        """Answer wire-oidc-01."""
        keyauth = f"{challenge['token']}.{self.device.prover.jkt}"
        claims = {} if self.device.first else {"keyauth": keyauth, "acme_aud": challenge["url"]}
        answer = {"id_token": await self.user.log_in(self.device.client_id, claims)}
        answer |= {"keyauth": keyauth} if self.device.first else {}
        answered = await self.acme.post(challenge["url"], answer)
        assert (answered.status_code, answered.json()["status"]) == (200, "valid"), answered.text

    async def finalize(self, order: dict[str, Any], key: Any) -> bytes:
        """The chain, PEM."""
        csr = encoded(wire_csr(key, self.device.client_id))
        done = await self.acme.post(order["finalize"], {"csr": csr})
        assert (done.status_code, done.json()["status"]) == (200, "valid"), done.text
        chain = await self.acme.post(done.json()["certificate"])
        assert chain.headers["content-type"] == "application/pem-certificate-chain"
        return chain.content


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def user(tmp_path_factory):
    """A real provider, which knows one user under both generations' claims."""
    authority = Authority.root("OpenID Root")
    running = await OidcProvider.start(
        tmp_path_factory.mktemp("provider"),
        authority,
        clients=[public_client("wireapp", CALLBACK, application_type="web")],
        accounts=USERS,
        claims={"wire": ["keyauth", "acme_aud"]},
    )
    yield User(running, authority)
    await running.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["file", "softhsm"])
async def served(request, tmp_path_factory, user):
    """A gateway whose CA's key is a file, or in SoftHSM."""
    folder = tmp_path_factory.mktemp("wire")
    async with acme_gateway(
        folder, oidc_issuer=user.provider.issuer, oidc_root=user.authority, ca=request.param
    ) as running:
        yield running


@pytest.mark.parametrize("alg", ["EdDSA", "ES256", "ES384", "ES512"])
@pytest.mark.parametrize("client_id", [FIRST, SECOND], ids=["first", "second"])
async def test_a_device_is_enrolled(served, user, tmp_path, client_id, alg):
    """From nothing to a chain that OpenSSL and pkilint accept, for each generation and kind of device key."""
    device = Device(prover(alg), client_id)
    async with served.client("wire", device.prover) as acme:
        enrollment = Enrollment(served, user, acme, device)
        order = await enrollment.begin()
        challenges = await enrollment.challenges(order)
        await enrollment.answer_dpop(challenges["wire-dpop-01"])
        await enrollment.answer_oidc(challenges["wire-oidc-01"])
        if device.first:  # Today's clients never ask.
            assert (await acme.post(order["url"])).json()["status"] == "ready"
        key = device.prover.key if device.first else prover(alg).key
        chain = await enrollment.finalize(order, key)

    leaf, issuer = x509.load_pem_x509_certificates(chain)
    leaf.verify_directly_issued_by(issuer)
    issuer.verify_directly_issued_by(served.root)
    accepted(tmp_path, chain, pem(served.root), purpose="sslclient", findings=WIRE_FINDINGS)
    assert leaf.public_key() == key.public_key()
    assert leaf.subject.rfc4514_string() == f"CN={NAME},O={DOMAIN}"
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {each.value for each in names} == {device.handle, client_id}
    assert leaf.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    assert leaf.extensions.get_extension_for_oid(x509.ObjectIdentifier(PROVISIONER_OID))


async def test_one_proof_of_the_first_generation_is_not_enough(served, user):
    """The order stays pending, and finalizing it is refused by its reason."""
    device = Device(prover("EdDSA"), FIRST)
    async with served.client("wire", device.prover) as acme:
        enrollment = Enrollment(served, user, acme, device)
        order = await enrollment.begin()
        await enrollment.answer_dpop((await enrollment.challenges(order))["wire-dpop-01"])
        assert (await acme.post(order["url"])).json()["status"] == "pending"
        csr = encoded(wire_csr(device.prover.key, FIRST))
        refused = await acme.post(order["finalize"], {"csr": csr})

    assert refused.status_code == 403
    assert refused.json()["type"] == "urn:ietf:params:acme:error:orderNotReady"
    assert refused.json()["subproblems"][0]["metadata"] == {"status": "pending"}


async def test_an_id_token_of_another_user_ends_the_order(served, user):
    """The challenge says why, and its authorization and order are over."""
    device = Device(prover("ES256"), SECOND)
    async with served.client("wire", device.prover) as acme:
        enrollment = Enrollment(served, user, acme, device)
        order = await enrollment.begin()
        challenge = (await enrollment.challenges(order))["wire-oidc-01"]
        token = await user.log_in(FIRST, {"keyauth": "other", "acme_aud": challenge["url"]})
        answered = (await acme.post(challenge["url"], {"id_token": token})).json()
        after = (await acme.post(order["url"])).json()

    assert (answered["status"], after["status"]) == ("invalid", "invalid")
    assert answered["error"]["type"] == "urn:ietf:params:acme:error:rejectedIdentifier"
    assert after["error"] == answered["error"]


class TestMinter:
    """The paths of a Wire backend."""

    async def test_a_device_alone_gets_nothing(self, served):
        """Only a caller with the role enroller says whose device it is."""
        for identity, status in ((None, 400), (served.gateway.admin, 403)):
            path = f"/clients/{DEVICE}/nonce?client_id={quote(SECOND, safe='')}"
            assert (await served.edge.get(path, identity=identity)).status_code == status

    @pytest.mark.parametrize(
        ("path", "query"),
        [
            (f"/clients/{DEVICE}/nonce", ""),
            (f"/clients/{DEVICE}/nonce", "?client_id=nobody"),
            (f"/clients/{DEVICE}/nonce", f"?client_id={quote(SECOND)}&client_id=x"),
            ("/clients/1/nonce", f"?client_id={quote(SECOND, safe='')}"),
        ],
        ids=["none", "malformed", "two", "another device"],
    )
    async def test_a_nonce_is_for_one_device(self, served, path, query):
        """The query names it, once, and as the path does."""
        response = await served.edge.get(path + query, identity=served.backend)
        assert response.status_code == 400

    async def test_a_nonce_stands_in_body_and_header(self, served):
        """Each generation of clients reads another one."""
        path = f"/clients/token/nonce?client_id={quote(FIRST, safe='')}"
        response = await served.edge.get(path, identity=served.backend)
        assert response.text == response.headers["replay-nonce"]
        assert response.headers["cache-control"] == "no-store"

    async def test_a_refused_proof_names_its_rule(self, served, user):
        """The backend is told which rule the proof breaks, and a proof works once."""
        device = Device(prover("EdDSA"), SECOND)
        async with served.client("wire", device.prover) as acme:
            enrollment = Enrollment(served, user, acme, device)
            path = f"/clients/{DEVICE}/nonce?client_id={quote(SECOND, safe='')}"
            nonce = (await served.edge.get(path, identity=served.backend)).text
            proof = device.sign(device.claims(int(time.time()), nonce, "t" * 32))
            other = await enrollment.mint(proof, handle="mallory")
            first = await enrollment.mint(proof)
            again = await enrollment.mint(proof)

        assert (other.status_code, other.json()["error"]) == (400, "invalid_dpop_proof")
        assert "handle" in other.json()["error_description"]
        assert first.status_code == 200
        assert first.json()["expires_in"] == 360
        assert "client-token-bad-nonce" in again.json()["error_description"]

    @pytest.mark.parametrize(
        ("headers", "body", "status"),
        [
            ({"dpop": "x", "content-type": "text/plain"}, b"{}", 415),
            ({"content-type": "application/json"}, b"{}", 400),
            ({"dpop": "x", "content-type": "application/json"}, b"[]", 400),
            ({"dpop": "x", "content-type": "application/json"}, b"{}", 400),
            ({"dpop": "x", "content-type": "application/json"}, b" " * 9000, 413),
        ],
        ids=["media type", "no proof", "no object", "no members", "too large"],
    )
    async def test_a_malformed_request_is_refused(self, served, headers, body, status):
        """Each part of it."""
        response = await served.edge.post(
            f"/clients/{DEVICE}/access-token", identity=served.backend, headers=headers, content=body
        )
        assert response.status_code == status
