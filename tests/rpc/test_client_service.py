"""ClientService over real TLS: registration rule by rule, update masks, etags, pages, repetition, secrets."""

import asyncio
import hashlib
import json
import uuid
from base64 import b64encode
from datetime import timedelta

import grpc
import pytest
from countersign import (
    CertificateName,
    ClientSecret,
    ClientSecretBasicAuth,
    ClientSecretPostAuth,
    CountersignError,
    GrantType,
    PrivateKeyJwtAuth,
    SelfSignedTlsClientAuth,
    TlsClientAuth,
)
from countersign.v1 import client_service_pb2 as pb
from google.protobuf.field_mask_pb2 import FieldMask

from tests.support.assertions import jwks_of
from tests.support.gateway import RESOURCE, running_gateway, stored_octets
from tests.support.pki import new_key, self_signed
from tests.support.rpc_server import details_of, reason_of
from tests.support.shared_gateway import admin, shared

__all__ = ["admin", "shared"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

DNS = TlsClientAuth(CertificateName.SAN_DNS, "backend.example.org")
URI = "https://keys.example.org/jwks.json"


def unique() -> str:
    return f"client-{uuid.uuid4()}"


async def refused(call) -> tuple[str, str]:
    """The reason and the field of a failed call of the client library."""
    with pytest.raises(CountersignError) as caught:
        await call
    fields = [violation.field for violation in caught.value.field_violations]
    return caught.value.reason, fields[0] if fields else ""


async def refused_raw(call) -> tuple[str, str]:
    """The reason and the field of a failed call of a bare stub."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    bad = details_of(caught.value).get("BadRequest")
    return reason_of(caught.value), bad.field_violations[0].field if bad else ""


async def test_everything_comes_back(admin):
    """What was registered is what GetClient and UpdateClient return."""
    name = unique()
    created = await admin.create_client(
        name,
        authentication=DNS,
        display_name="Bäckend",
        grant_types=[GrantType.CLIENT_CREDENTIALS],
        scopes=["b", "a"],
        audiences=[RESOURCE],
        default_audience=RESOURCE,
        resources=["https://me.example.org"],
        certificate_bound_access_tokens=True,
        access_token_lifetime=timedelta(seconds=60),
        disabled=True,
    )
    assert created.client_secret is None
    client = created.client
    assert client == await admin.get_client(name)
    assert (client.client_id, client.authentication, client.display_name) == (name, DNS, "Bäckend")
    assert (client.scopes, client.audiences) == ({"a", "b"}, {RESOURCE})
    assert client.access_token_lifetime == timedelta(seconds=60)
    assert client.disabled
    assert client.etag == "1"
    assert client.create_time == client.update_time


async def test_id_is_made(admin):
    """Without an id the gateway makes one that cannot be guessed."""
    first = await admin.create_client(authentication=DNS)
    second = await admin.create_client(authentication=DNS)
    assert first.client.client_id != second.client.client_id
    assert len(first.client.client_id) == 22


@pytest.mark.parametrize(
    "authentication",
    [
        DNS,
        TlsClientAuth(CertificateName.SUBJECT_DN, "CN=a,O=b"),
        TlsClientAuth(CertificateName.SAN_URI, "spiffe://example.org/a"),
        TlsClientAuth(CertificateName.SAN_IP, "2001:db8::1"),
        TlsClientAuth(CertificateName.SAN_EMAIL, "a@example.org"),
        SelfSignedTlsClientAuth((self_signed("a").der, self_signed("b").der)),
        ClientSecretBasicAuth(),
        ClientSecretPostAuth(),
    ],
)
async def test_every_method_comes_back(admin, authentication):
    """Each way to authenticate is kept as it was given."""
    created = await admin.create_client(unique(), authentication=authentication)
    assert created.client.authentication == authentication


async def test_two_certificates_of_one_key(admin):
    """A certificate renewed for the same key is registered beside the old one."""
    key = new_key()
    both = SelfSignedTlsClientAuth((self_signed("a", key=key).der, self_signed("a", key=key).der))
    assert (await admin.create_client(unique(), authentication=both)).client.authentication == both


async def test_jwks_comes_back(admin):
    """A JWK Set comes back with the same keys."""
    jwks = jwks_of(new_key(), kids=("one",)).decode()
    created = await admin.create_client(unique(), authentication=PrivateKeyJwtAuth(jwks))
    (given,), (kept,) = json.loads(jwks)["keys"], json.loads(created.client.authentication.jwks)["keys"]
    assert given.items() <= kept.items()


@pytest.mark.parametrize("client_id", ["a b", "a/b", "ä", "x" * 129, "a\0", "clients/a"])
async def test_id_malformed(admin, client_id):
    """An id outside its alphabet or its length is refused."""
    call = admin.create_client(client_id, authentication=DNS)
    assert await refused(call) == ("INVALID_FIELD", "client_id")


async def test_id_taken(admin):
    """An id is given once."""
    name = unique()
    await admin.create_client(name, authentication=DNS)
    call = admin.create_client(name, authentication=DNS)
    assert await refused(call) == ("CLIENT_ALREADY_EXISTS", "client_id")


WRONG = [
    ({"display_name": "x" * 201}, "display_name"),
    ({"display_name": "a\nb"}, "display_name"),
    ({"scopes": ["a b"]}, "scopes"),
    ({"scopes": [""]}, "scopes"),
    ({"scopes": ['"']}, "scopes"),
    ({"scopes": ["\\"]}, "scopes"),
    ({"scopes": ["ä"]}, "scopes"),
    ({"scopes": ["x" * 129]}, "scopes"),
    ({"scopes": [str(number) for number in range(101)]}, "scopes"),
    ({"audiences": ["api"]}, "audiences"),
    ({"audiences": ["/api"]}, "audiences"),
    ({"audiences": ["https://a#b"]}, "audiences"),
    ({"audiences": ["https://a#"]}, "audiences"),
    ({"audiences": ["https://a b"]}, "audiences"),
    ({"audiences": ["https://[a"]}, "audiences"),
    ({"audiences": ["https://ä"]}, "audiences"),
    ({"audiences": ["https://" + "a" * 505]}, "audiences"),
    ({"audiences": [f"https://{number}" for number in range(101)]}, "audiences"),
    ({"resources": ["x"]}, "resources"),
    ({"resources": ["https://id.example.org"]}, "resources"),
    ({"default_audience": RESOURCE}, "default_audience"),
    ({"access_token_lifetime": timedelta(0)}, "access_token_lifetime"),
    ({"access_token_lifetime": timedelta(seconds=-1)}, "access_token_lifetime"),
    ({"access_token_lifetime": timedelta(seconds=3601)}, "access_token_lifetime"),
    ({"access_token_lifetime": timedelta(seconds=1.5)}, "access_token_lifetime"),
    ({"access_token_lifetime": timedelta(days=3000)}, "access_token_lifetime"),
    ({"authentication": TlsClientAuth(CertificateName.SUBJECT_DN, "nonsense")}, "tls_client_auth.subject_dn"),
    ({"authentication": TlsClientAuth(CertificateName.SAN_DNS, "*.example.org")}, "tls_client_auth.san_dns"),
    ({"authentication": TlsClientAuth(CertificateName.SAN_IP, "1.2.3")}, "tls_client_auth.san_ip"),
    ({"authentication": TlsClientAuth(CertificateName.SAN_URI, "")}, "tls_client_auth.san_uri"),
    ({"authentication": SelfSignedTlsClientAuth(())}, "self_signed_tls_client_auth"),
    (
        {"authentication": SelfSignedTlsClientAuth((b"x",))},
        "self_signed_tls_client_auth.certificates",
    ),
    ({"authentication": PrivateKeyJwtAuth("{}")}, "private_key_jwt.jwks"),
    ({"authentication": PrivateKeyJwtAuth('{"keys":[]}')}, "private_key_jwt.jwks"),
    ({"authentication": PrivateKeyJwtAuth("[]")}, "private_key_jwt.jwks"),
    ({"authentication": PrivateKeyJwtAuth(jwks_of(new_key()).decode(), URI)}, "private_key_jwt"),
    ({"authentication": PrivateKeyJwtAuth(jwks_uri="http://keys.example.org/")}, "private_key_jwt.jwks_uri"),
    ({"authentication": PrivateKeyJwtAuth(jwks_uri="https://127.0.0.1/")}, "private_key_jwt.jwks_uri"),
    ({"authentication": SelfSignedTlsClientAuth((b"x",), URI)}, "self_signed_tls_client_auth"),
    (
        {"authentication": SelfSignedTlsClientAuth(jwks_uri="https://localhost/")},
        "self_signed_tls_client_auth.jwks_uri",
    ),
    ({"authentication": PrivateKeyJwtAuth('{"keys":[{"kty":"oct","k":"AA"}]}')}, "private_key_jwt.jwks"),
    ({"authentication": PrivateKeyJwtAuth("x" * 65_537)}, "private_key_jwt.jwks"),
    (
        {"authentication": PrivateKeyJwtAuth(jwks_of(*(new_key() for _ in range(11))).decode())},
        "private_key_jwt.jwks",
    ),
]


@pytest.mark.parametrize("method", [PrivateKeyJwtAuth(jwks_uri=URI), SelfSignedTlsClientAuth(jwks_uri=URI)])
async def test_published_keys(admin, method):
    """A client is registered with the URI of its keys, which nobody fetches for that; it can change to it."""
    name = unique()
    created = await admin.create_client(name, authentication=method)
    assert created.client.authentication == method == (await admin.get_client(name)).authentication
    await admin.update_client(name, authentication=PrivateKeyJwtAuth(jwks_of(new_key()).decode()))
    assert (await admin.get_client(name)).authentication.jwks_uri is None
    await admin.update_client(name, authentication=method)
    assert (await admin.get_client(name)).authentication == method


@pytest.mark.parametrize(("fields", "field"), WRONG)
async def test_metadata_wrong(admin, fields, field):
    """Each rule of a client's metadata, broken alone, refuses the registration and names the field."""
    name = unique()
    call = admin.create_client(name, **{"authentication": DNS, **fields})
    assert await refused(call) == ("INVALID_CLIENT_METADATA", f"client.{field}")
    assert (await refused(admin.get_client(name)))[0] == "CLIENT_NOT_FOUND"


async def test_private_key_in_the_set(admin):
    """A key set that holds a private key is refused."""
    key = new_key()
    members = json.loads(jwks_of(key))["keys"][0] | {"d": "AAAA"}
    jwks = PrivateKeyJwtAuth(json.dumps({"keys": [members]}))
    call = admin.create_client(unique(), authentication=jwks)
    assert await refused(call) == ("INVALID_CLIENT_METADATA", "client.private_key_jwt.jwks")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (None, ("MISSING_FIELD", "client")),
        (pb.Client(), ("MISSING_FIELD", "client.authentication")),
        (pb.Client(tls_client_auth=pb.TlsClientAuth()), ("MISSING_FIELD", "client.tls_client_auth")),
        (pb.Client(name="clients/x"), ("INVALID_FIELD", "client.name")),
        (
            pb.Client(private_key_jwt=pb.PrivateKeyJwtAuth()),
            ("MISSING_FIELD", "client.private_key_jwt.jwks"),
        ),
        (
            pb.Client(client_secret_post=pb.ClientSecretPostAuth(), grant_types=[0]),
            ("INVALID_FIELD", "client.grant_types"),
        ),
        (
            pb.Client(client_secret_post=pb.ClientSecretPostAuth(), grant_types=[99]),
            ("INVALID_FIELD", "client.grant_types"),
        ),
        (
            pb.Client(
                self_signed_tls_client_auth=pb.SelfSignedTlsClientAuth(jwks=jwks_of(new_key()).decode())
            ),
            ("INVALID_CLIENT_METADATA", "client.self_signed_tls_client_auth"),
        ),
        (
            pb.Client(self_signed_tls_client_auth=pb.SelfSignedTlsClientAuth(jwks="{}", certificates=[b"x"])),
            ("INVALID_CLIENT_METADATA", "client.self_signed_tls_client_auth"),
        ),
    ],
)
async def test_message_wrong(admin, message, expected):
    """What the client library cannot send is refused too, by the name of the field."""
    assert await refused_raw(admin.clients.CreateClient(pb.CreateClientRequest(client=message))) == expected


async def test_secret_is_shown_once(admin, shared):
    """The secret is in the reply that made it and nowhere else; the database holds its hash alone."""
    name = unique()
    created = await admin.create_client(name, authentication=ClientSecretPostAuth())
    secret = created.client_secret
    assert len(secret) == 43
    assert secret not in repr(created)
    stored = stored_octets(shared.database_file.parent)
    assert name.encode() in stored
    assert secret.encode() not in stored
    digest = hashlib.sha256(secret.encode()).digest()
    assert secret not in str(await admin.get_client(name))
    assert b64encode(digest) in stored


async def test_creation_repeated(admin):
    """The same request id returns the same client, without its secret, and makes no second one."""
    request_id = str(uuid.uuid4())
    first = await admin.create_client(authentication=ClientSecretPostAuth(), request_id=request_id)
    again = await admin.create_client(authentication=ClientSecretPostAuth(), request_id=request_id)
    assert first.client == again.client
    assert first.client_secret is not None
    assert again.client_secret is None


async def test_request_id_of_another_request(admin):
    """The same request id with another content is refused."""
    request_id = str(uuid.uuid4())
    await admin.create_client(unique(), authentication=DNS, request_id=request_id)
    call = admin.create_client(unique(), authentication=DNS, request_id=request_id)
    assert await refused(call) == ("REQUEST_ID_REUSED", "request_id")


@pytest.mark.parametrize(
    "request_id",
    ["x", str(uuid.uuid4()).upper(), uuid.uuid4().hex],
    ids=["short", "upper case", "bare"],
)
async def test_request_id_malformed(admin, request_id):
    """A request id is a UUID in its canonical form."""
    call = admin.create_client(unique(), authentication=DNS, request_id=request_id)
    assert await refused(call) == ("INVALID_FIELD", "request_id")


async def test_creations_race(admin):
    """Of many creations of one id at once one succeeds; under one request id all return the same."""
    name = unique()
    attempts = [admin.create_client(name, authentication=DNS) for _ in range(8)]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    errors = [outcome for outcome in outcomes if isinstance(outcome, CountersignError)]
    assert [error.reason for error in errors] == ["CLIENT_ALREADY_EXISTS"] * 7
    request_id = str(uuid.uuid4())
    attempts = [
        admin.create_client(authentication=ClientSecretPostAuth(), request_id=request_id) for _ in range(8)
    ]
    outcomes = await asyncio.gather(*attempts)
    assert len({outcome.client.client_id for outcome in outcomes}) == 1
    assert sum(outcome.client_secret is not None for outcome in outcomes) == 1


async def test_update_changes_what_it_names(admin):
    """The masked fields change, the others stay, and the etag moves."""
    created = await admin.create_client(unique(), authentication=DNS, scopes=["a"], display_name="x")
    name = created.client.client_id
    updated = await admin.update_client(name, scopes=["b"], disabled=True)
    assert (updated.scopes, updated.disabled, updated.display_name) == ({"b"}, True, "x")
    assert updated.etag != created.client.etag
    cleared = await admin.update_client(name, display_name="", scopes=[], disabled=False)
    assert (cleared.scopes, cleared.disabled, cleared.display_name) == (frozenset(), False, "")


async def update(admin, name: str, *paths: str, **values):
    client = pb.Client(name=f"clients/{name}", **values)
    return await admin.clients.UpdateClient(
        pb.UpdateClientRequest(client=client, update_mask=FieldMask(paths=paths))
    )


@pytest.mark.parametrize(
    "path",
    [
        "*",
        "nothing",
        "name",
        "client_id",
        "etag",
        "create_time",
        "update_time",
        "authentication",
        "tls_client_auth.san_dns",
        "client.scopes",
        "",
        "secret_hash",
        "revision",
    ],
)
async def test_mask_wrong(admin, path):
    """A path that is unknown, nested, output-only or a wildcard refuses the update."""
    name = unique()
    await admin.create_client(name, authentication=DNS)
    assert await refused_raw(update(admin, name, "scopes", path)) == ("INVALID_FIELD", "update_mask")
    assert (await admin.get_client(name)).etag == "1"


async def test_mask_missing(admin):
    """An update that names no field is refused."""
    assert await refused_raw(update(admin, "x")) == ("MISSING_FIELD", "update_mask")


async def test_masked_method_missing(admin):
    """A mask that names a method which the message does not hold is refused."""
    refusal = await refused_raw(update(admin, "x", "private_key_jwt"))
    assert refusal == ("MISSING_FIELD", "client.private_key_jwt")


async def test_update_is_checked_as_a_whole(admin):
    """An update whose outcome breaks a rule changes nothing."""
    name = unique()
    await admin.create_client(name, authentication=DNS, audiences=[RESOURCE], default_audience=RESOURCE)
    call = admin.update_client(name, audiences=[], display_name="new")
    assert await refused(call) == ("INVALID_CLIENT_METADATA", "client.default_audience")
    assert (await admin.get_client(name)).display_name == ""


async def test_another_method_forgets_the_secret(admin, shared):
    """A client that left its secret behind has none when it comes back, until one is generated."""
    name = unique()
    created = await admin.create_client(
        name,
        authentication=ClientSecretPostAuth(),
        grant_types=[GrantType.CLIENT_CREDENTIALS],
        audiences=[RESOURCE],
        default_audience=RESOURCE,
    )
    secret = ClientSecret(created.client_secret)
    async with shared.client() as anyone:
        assert await anyone.mint_token(name, credential=secret)
        await admin.update_client(name, authentication=DNS)
        await admin.update_client(name, authentication=ClientSecretBasicAuth())
        assert await refused(anyone.mint_token(name, credential=secret)) == ("INVALID_CLIENT", "")
        rotated = await admin.rotate_client_secret(name)
        assert await anyone.mint_token(name, credential=ClientSecret(rotated.client_secret))


async def test_secret_of_a_client_without_one(admin):
    """A client that does not authenticate with a secret gets none."""
    name = unique()
    await admin.create_client(name, authentication=DNS)
    assert await refused(admin.rotate_client_secret(name)) == ("INVALID_CLIENT_METADATA", "client.name")


async def test_etag_of_an_earlier_state(admin):
    """An etag that is no longer current refuses update, rotation and deletion."""
    name = unique()
    first = (await admin.create_client(name, authentication=ClientSecretPostAuth())).client
    await admin.update_client(name, etag=first.etag, scopes=["a"])
    assert (await refused(admin.update_client(name, etag=first.etag, scopes=["b"])))[0] == "ETAG_MISMATCH"
    assert (await refused(admin.rotate_client_secret(name, etag=first.etag)))[0] == "ETAG_MISMATCH"
    assert (await refused(admin.delete_client(name, etag=first.etag)))[0] == "ETAG_MISMATCH"
    assert (await admin.get_client(name)).scopes == {"a"}


@pytest.mark.parametrize("etag", ["x", "0", "-1", "1.0", "01", "9" * 19])
async def test_etag_malformed(admin, etag):
    """What was never an etag is refused as such."""
    assert await refused(admin.delete_client("x", etag=etag)) == ("INVALID_FIELD", "etag")


async def test_updates_race(admin):
    """With one etag, one of many updates succeeds; without, all do, and none is lost."""
    name = unique()
    created = await admin.create_client(name, authentication=DNS)
    attempts = [admin.update_client(name, etag=created.client.etag, scopes=[str(n)]) for n in range(6)]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    errors = [outcome for outcome in outcomes if isinstance(outcome, CountersignError)]
    assert [error.reason for error in errors] == ["ETAG_MISMATCH"] * 5
    changes = ({"scopes": ["z"]}, {"display_name": "z"}, {"audiences": [RESOURCE]}, {"disabled": True})
    await asyncio.gather(*(admin.update_client(name, **change) for change in changes))
    client = await admin.get_client(name)
    assert (client.scopes, client.display_name, client.audiences, client.disabled, client.etag) == (
        {"z"},
        "z",
        {RESOURCE},
        True,
        "6",
    )


async def test_deleted(admin):
    """A deleted client is not found by anything, and its id is not given again."""
    name = unique()
    await admin.create_client(name, authentication=DNS)
    await admin.delete_client(name)
    for call in (
        admin.get_client(name),
        admin.update_client(name, scopes=[]),
        admin.delete_client(name),
        admin.rotate_client_secret(name),
    ):
        assert (await refused(call))[0] == "CLIENT_NOT_FOUND"
    call = admin.create_client(name, authentication=DNS)
    assert (await refused(call))[0] == "CLIENT_ALREADY_EXISTS"


@pytest.mark.parametrize("name", ["x", "keys/x", "clients/", "clients/a/b", f"clients/{'x' * 129}"])
async def test_name_malformed(admin, name):
    """A resource name that is not `clients/` and an id is refused."""
    assert await refused_raw(admin.clients.GetClient(pb.GetClientRequest(name=name))) == (
        "INVALID_FIELD",
        "name",
    )


async def test_name_missing(admin):
    """A request without a name is refused."""
    assert await refused_raw(admin.clients.GetClient(pb.GetClientRequest())) == ("MISSING_FIELD", "name")
    assert await refused_raw(
        admin.clients.UpdateClient(pb.UpdateClientRequest(update_mask=FieldMask(paths=["scopes"])))
    ) == ("MISSING_FIELD", "client.name")


@pytest.mark.parametrize("token", ["!", "a", "____", "AAAA=", "/w"])
async def test_page_token_malformed(admin, token):
    """A page token that was never given out is refused."""
    call = admin.clients.ListClients(pb.ListClientsRequest(page_token=token))
    assert (await refused_raw(call))[0] == "INVALID_PAGE_TOKEN"


async def test_page_size_negative(admin):
    """A negative page size is refused."""
    call = admin.clients.ListClients(pb.ListClientsRequest(page_size=-1))
    assert await refused_raw(call) == ("INVALID_FIELD", "page_size")


@pytest.mark.asyncio(loop_scope="function")
async def test_pages(tmp_path):
    """Pages go by id, each client once, and the last one names no next; 0 means 50."""
    async with running_gateway(tmp_path) as gateway, gateway.client(gateway.admin) as admin:
        names = sorted(f"c{number:02}" for number in range(53))
        await asyncio.gather(*(admin.create_client(name, authentication=DNS) for name in names))
        for size in (1, 7, 53, 2_000, 0):
            assert [client.client_id async for client in admin.list_clients(page_size=size)] == names
        first = await admin.clients.ListClients(pb.ListClientsRequest())
        assert len(first.clients) == 50
        last = await admin.clients.ListClients(pb.ListClientsRequest(page_size=53))
        assert last.next_page_token == ""
