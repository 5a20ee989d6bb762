"""Each RPC through both clients: what is sent, and what comes back."""

from datetime import UTC, datetime, timedelta

import grpc
import pytest
from countersign import (
    AccessToken,
    CertificateName,
    ClientSecret,
    ClientSecretBasicAuth,
    ClientSecretPostAuth,
    GrantType,
    InvalidRequestError,
    KeyCheckOutcome,
    KeyPurpose,
    KeyState,
    OkpPublicKey,
    PermissionDeniedError,
    PrivateKeyJwtAuth,
    RetryPolicy,
    SelfSignedTlsClientAuth,
    SignatureAlgorithm,
    TlsClientAuth,
    TokenRequest,
    TokenType,
    TokenTypeHint,
    UnavailableError,
)
from countersign.tokens import EcPublicKey, RsaPublicKey
from countersign.v1 import access_token_pb2, client_service_pb2, key_service_pb2, token_service_pb2
from countersign.v1 import introspection_service_pb2 as introspection_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from tests.clients.gateway_double import failure

THUMBPRINT = bytes(range(32))
KID = "A" * 43


def at(seconds: int) -> Timestamp:
    return Timestamp(seconds=seconds)


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def token_message(**changes) -> access_token_pb2.AccessToken:
    values = {
        "value": "eyJ.secret.x",
        "type": access_token_pb2.TOKEN_TYPE_BEARER,
        "issue_time": at(1_000),
        "expire_time": at(1_600),
        "scope": ["read", "write"],
        "token_id": "jti-1",
        "audience": ["https://orders.example"],
        "confirmation": access_token_pb2.Confirmation(x5t_s256=THUMBPRINT),
    }
    return access_token_pb2.AccessToken(**{**values, **changes})


TOKEN = AccessToken(
    value="eyJ.secret.x",
    token_type=TokenType.BEARER,
    issue_time=moment(1_000),
    expire_time=moment(1_600),
    scope=("read", "write"),
    token_id="jti-1",
    audience=("https://orders.example",),
    x5t_s256=THUMBPRINT,
)


class TestTokens:
    """TokenService."""

    async def test_mint(self, client, double):
        """A mint sends the client, its grant, scope and resource, and returns the token as it was issued."""
        double.will("MintToken", token_service_pb2.MintTokenResponse(token=token_message()))
        token = await client.mint_token("billing", scope=["read"], resource=["https://orders.example"])
        assert token == TOKEN
        assert token.authorization == "Bearer eyJ.secret.x"
        [request] = double.requests("MintToken")
        assert request == token_service_pb2.MintTokenRequest(
            client_id="billing",
            client_credentials=token_service_pb2.ClientCredentialsGrant(),
            scope=["read"],
            resource=["https://orders.example"],
        )
        assert not request.HasField("authentication")

    async def test_mint_with_secret(self, client, double):
        """A client secret travels in the typed authentication, nowhere else."""
        double.will("MintToken", token_service_pb2.MintTokenResponse(token=token_message()))
        await client.mint_token("billing", credential=ClientSecret("s3cret"))
        assert double.requests("MintToken")[0].authentication.client_secret.secret == "s3cret"
        assert "s3cret" not in str(double.calls[0].metadata)

    async def test_token_without_binding(self, client, double):
        """A token that is not bound has no thumbprint, and an unknown type is told apart."""
        message = token_message(type=99)
        message.ClearField("confirmation")
        double.will("MintToken", token_service_pb2.MintTokenResponse(token=message))
        token = await client.mint_token("billing")
        assert token.x5t_s256 is None
        assert token.token_type is TokenType.UNRECOGNIZED

    async def test_batch_mint(self, client, double):
        """A batch returns tokens and errors in the order of its items."""
        error = failure(
            grpc.StatusCode.INVALID_ARGUMENT, "INVALID_SCOPE", message="Scope admin is not granted."
        )
        result = token_service_pb2.BatchMintTokensResult
        double.will(
            "BatchMintTokens",
            token_service_pb2.BatchMintTokensResponse(
                results=[result(token=token_message()), result(error=error)]
            ),
        )
        first, second = await client.batch_mint_tokens(
            "billing", [TokenRequest(scope=("read",)), TokenRequest(scope=("admin",))]
        )
        assert first == TOKEN
        assert isinstance(second, InvalidRequestError)
        assert second.reason == "INVALID_SCOPE"
        [request] = double.requests("BatchMintTokens")
        assert [list(item.scope) for item in request.items] == [["read"], ["admin"]]
        assert {item.WhichOneof("grant") for item in request.items} == {"client_credentials"}

    async def test_revoke(self, client, double):
        """A token is revoked by itself and its client, or by its id alone."""
        double.will("RevokeToken", token_service_pb2.RevokeTokenResponse())
        assert await client.revoke_token("tok", client_id="billing") is None
        assert await client.revoke_token_id("jti-1") is None
        assert double.requests("RevokeToken") == [
            token_service_pb2.RevokeTokenRequest(client_id="billing", token="tok"),
            token_service_pb2.RevokeTokenRequest(token_id="jti-1"),
        ]

    async def test_server_metadata(self, client, double):
        """Metadata comes typed and as the document that HTTP clients read."""
        metadata = token_service_pb2.ServerMetadata(
            issuer="https://gateway.example",
            token_endpoint="https://gateway.example/oauth2/token",
            mtls_endpoint_aliases=token_service_pb2.MtlsEndpointAliases(
                token_endpoint="https://mtls.example/t"
            ),
            grant_types_supported=["client_credentials"],
            tls_client_certificate_bound_access_tokens=True,
        )
        double.will(
            "GetServerMetadata",
            token_service_pb2.GetServerMetadataResponse(metadata=metadata, metadata_json=b"{}"),
        )
        answer = await client.get_server_metadata()
        assert answer.issuer == "https://gateway.example"
        assert answer.mtls_endpoint_aliases == {"token_endpoint": "https://mtls.example/t"}
        assert answer.grant_types_supported == ("client_credentials",)
        assert answer.tls_client_certificate_bound_access_tokens
        assert answer.document == b"{}"

    async def test_jwks(self, client, double):
        """Keys of every type come typed, one of a newer type without its public key."""
        pb = token_service_pb2
        keys = [
            pb.JsonWebKey(kid="1", alg="ES256", use="sig", ec=pb.EcPublicKey(crv="P-256", x=b"x", y=b"y")),
            pb.JsonWebKey(kid="2", alg="EdDSA", use="sig", okp=pb.OkpPublicKey(crv="Ed25519", x=b"z")),
            pb.JsonWebKey(kid="3", alg="RS256", use="sig", rsa=pb.RsaPublicKey(n=b"n", e=b"\1\0\1")),
            pb.JsonWebKey(kid="4", alg="ML-DSA-44", use="sig"),
        ]
        double.will(
            "GetJwks",
            pb.GetJwksResponse(keys=keys, jwks_json=b'{"keys":[]}', max_age=Duration(seconds=300)),
        )
        answer = await client.get_jwks()
        assert [key.public_key for key in answer.keys] == [
            EcPublicKey("P-256", b"x", b"y"),
            OkpPublicKey("Ed25519", b"z"),
            RsaPublicKey(b"n", b"\1\0\1"),
            None,
        ]
        assert answer.document == b'{"keys":[]}'
        assert answer.max_age == timedelta(minutes=5)


class TestIntrospection:
    """IntrospectionService."""

    async def test_active(self, client, double):
        """An active token comes with everything that it says, further claims as plain Python."""
        token = introspection_pb2.IntrospectedToken(
            scope=["read"],
            client_id="billing",
            token_type=access_token_pb2.TOKEN_TYPE_BEARER,
            issue_time=at(1_000),
            expire_time=at(1_600),
            subject="billing",
            audience=["https://orders.example"],
            issuer="https://gateway.example",
            token_id="jti-1",
            confirmation=access_token_pb2.Confirmation(x5t_s256=THUMBPRINT),
            additional_claims=ParseDict({"tenant": "acme", "level": 3}, Struct()),
        )
        double.will("IntrospectToken", introspection_pb2.IntrospectTokenResponse(active=True, token=token))
        seen = await client.introspect_token("tok", token_type_hint=TokenTypeHint.ACCESS_TOKEN)
        assert seen.client_id == seen.subject == "billing"
        assert seen.expire_time == moment(1_600)
        assert seen.not_before_time is None
        assert seen.x5t_s256 == THUMBPRINT
        assert seen.additional_claims == {"tenant": "acme", "level": 3}
        assert double.requests("IntrospectToken") == [
            introspection_pb2.IntrospectTokenRequest(
                token="tok", token_type_hint=introspection_pb2.TOKEN_TYPE_HINT_ACCESS_TOKEN
            )
        ]

    async def test_not_active(self, client, double):
        """A token that is not active is None, whatever else the answer holds."""
        double.will(
            "IntrospectToken",
            introspection_pb2.IntrospectTokenResponse(
                active=False, token=introspection_pb2.IntrospectedToken(client_id="other")
            ),
        )
        assert await client.introspect_token("tok") is None

    async def test_no_hint(self, client, double):
        """Without a hint the field stays absent, as the unspecified value is refused."""
        double.will("IntrospectToken", introspection_pb2.IntrospectTokenResponse())
        await client.introspect_token("tok")
        assert not double.requests("IntrospectToken")[0].HasField("token_type_hint")

    async def test_named_client(self, client, double):
        """A resource server can ask under its own name and with its own proof."""
        double.will("IntrospectToken", introspection_pb2.IntrospectTokenResponse())
        await client.introspect_token("tok", client_id="orders", credential=ClientSecret("s3cret"))
        [request] = double.requests("IntrospectToken")
        assert request.client_id == "orders"
        assert request.authentication.client_secret.secret == "s3cret"

    async def test_batch(self, client, double):
        """A batch answers each token in order."""
        result = introspection_pb2.BatchIntrospectTokensResult
        double.will(
            "BatchIntrospectTokens",
            introspection_pb2.BatchIntrospectTokensResponse(
                results=[
                    result(),
                    result(active=True, token=introspection_pb2.IntrospectedToken(client_id="billing")),
                ]
            ),
        )
        first, second = await client.batch_introspect_tokens(["a", "b"])
        assert first is None
        assert second.client_id == "billing"
        assert [item.token for item in double.requests("BatchIntrospectTokens")[0].items] == ["a", "b"]


def revocations(*cursors, then=None):
    """An answer to WatchRevocations: a batch for each of *cursors*, then an end, or the failure *then*."""

    async def answer(_request, context):
        for cursor in cursors:
            await context.write(introspection_pb2.WatchRevocationsResponse(cursor=cursor))
        if then is not None:
            await context.abort(then, "It broke off.")

    return answer


class TestWatchRevocations:
    """WatchRevocations."""

    @pytest.fixture
    def failed(self):
        """How many attempts had failed in a row before each pause."""
        return []

    @pytest.fixture
    async def client(self, connect, failed):
        """Either client, of which each pause is written down."""

        class Recorded(RetryPolicy):
            def backoff(self, attempt: int, draw: float) -> float:
                failed.append(attempt)
                return super().backoff(attempt, draw)

        async with connect(retry=Recorded(initial_backoff=0.001, max_backoff=0.002)) as opened:
            yield opened

    @pytest.mark.parametrize("then", [grpc.StatusCode.UNAVAILABLE, None], ids=["broken", "ended"])
    async def test_a_stream_without_a_batch_is_not_opened_in_a_loop(self, client, double, failed, then):
        """However it ends, there is a pause before each further attempt, and the attempts are bounded."""
        double.will("WatchRevocations", revocations(then=then))
        with pytest.raises(UnavailableError):
            await client.watch_revocations()
        assert failed == [1, 2, 3]
        assert len(double.calls) == 4

    @pytest.mark.parametrize("then", [grpc.StatusCode.UNAVAILABLE, None], ids=["broken", "ended"])
    async def test_after_a_batch_the_pause_is_short_again(self, client, double, failed, then):
        """A stream that lived is resumed at its last cursor as after a first failure, any number of times."""
        numbers = range(1, 7)
        streams = [revocations(f"r1.{number}", then=then) for number in numbers]
        double.will("WatchRevocations", *streams, revocations(then=grpc.StatusCode.PERMISSION_DENIED))
        with pytest.raises(PermissionDeniedError):
            await client.watch_revocations("r1.0")
        assert failed == [1] * 6
        assert [each.cursor for each in double.requests("WatchRevocations")] == [
            f"r1.{number}" for number in range(7)
        ]


def key_message(**changes) -> key_service_pb2.Key:
    values = {
        "name": f"keys/{KID}",
        "purpose": key_service_pb2.KEY_PURPOSE_TOKENS,
        "algorithm": key_service_pb2.SIGNATURE_ALGORITHM_ES256,
        "state": key_service_pb2.KEY_STATE_PREPARED,
        "uri": "pkcs11:object=tokens",
        "create_time": at(1_000),
        "etag": "1",
    }
    return key_service_pb2.Key(**{**values, **changes})


class TestKeys:
    """KeyService."""

    async def test_list_walks_pages(self, client, double):
        """A list follows the page tokens with the same filter until there is none."""
        pb = key_service_pb2
        double.will(
            "ListKeys",
            pb.ListKeysResponse(keys=[key_message(etag="1"), key_message(etag="2")], next_page_token="next"),
            pb.ListKeysResponse(keys=[key_message(etag="3", state=99)]),
        )
        found = await client.list_keys(purpose=KeyPurpose.TOKENS, page_size=2)
        assert [key.etag for key in found] == ["1", "2", "3"]
        assert [key.state for key in found] == [KeyState.PREPARED, KeyState.PREPARED, KeyState.UNRECOGNIZED]
        first, second = double.requests("ListKeys")
        assert first == pb.ListKeysRequest(page_size=2, purpose=pb.KEY_PURPOSE_TOKENS)
        assert second == pb.ListKeysRequest(page_size=2, purpose=pb.KEY_PURPOSE_TOKENS, page_token="next")

    async def test_get(self, client, double):
        """A key is named by its thumbprint."""
        double.will("GetKey", key_service_pb2.GetKeyResponse(key=key_message()))
        key = await client.get_key(KID)
        assert (key.key_id, key.algorithm, key.activate_time) == (KID, SignatureAlgorithm.ES256, None)
        assert double.requests("GetKey")[0].name == f"keys/{KID}"

    @pytest.mark.parametrize("source", ["create_uri", "existing_uri"])
    async def test_create(self, client, double, source):
        """A key is created or registered under a request id, drawn where none is given."""
        double.will("CreateKey", key_service_pb2.CreateKeyResponse(key=key_message()))
        arguments = (KeyPurpose.TOKENS, SignatureAlgorithm.EDDSA)
        await client.create_key(*arguments, **{source: "file:k"})
        await client.create_key(*arguments, **{source: "file:k"}, request_id="mine")
        drawn, given = double.requests("CreateKey")
        assert drawn.WhichOneof("source") == source
        assert drawn.algorithm == key_service_pb2.SIGNATURE_ALGORITHM_EDDSA
        assert len(drawn.request_id) == 36
        assert given.request_id == "mine"

    async def test_create_needs_one_source(self, client, double):
        """A key without a place, or with two, is refused before anything is sent."""
        with pytest.raises(ValueError, match="exactly one"):
            await client.create_key(KeyPurpose.TOKENS, SignatureAlgorithm.ES256)
        with pytest.raises(ValueError, match="exactly one"):
            await client.create_key(
                KeyPurpose.TOKENS, SignatureAlgorithm.ES256, create_uri="file:a", existing_uri="file:b"
            )
        assert double.calls == []

    async def test_rotate(self, client, double):
        """A rotation returns the key that signs now and the one that signed before."""
        pb = key_service_pb2
        double.will(
            "RotateKey",
            pb.RotateKeyResponse(active_key=key_message(etag="2"), retiring_key=key_message(etag="3")),
            pb.RotateKeyResponse(active_key=key_message()),
        )
        arguments = (KeyPurpose.TOKENS, SignatureAlgorithm.ES256)
        rotation = await client.rotate_key(*arguments, key_id=KID, etag="1")
        assert (rotation.active_key.etag, rotation.retiring_key.etag) == ("2", "3")
        assert (await client.rotate_key(*arguments)).retiring_key is None
        named, any_key = double.requests("RotateKey")
        assert (named.name, named.etag) == (f"keys/{KID}", "1")
        assert (any_key.name, any_key.etag) == ("", "")

    async def test_disable_and_check(self, client, double):
        """Disabling gives its reason; a check returns what it found."""
        pb = key_service_pb2
        disabled = key_message(state=pb.KEY_STATE_DISABLED, disable_reason="Leaked.")
        double.will("DisableKey", pb.DisableKeyResponse(key=disabled))
        double.will(
            "CheckKey",
            pb.CheckKeyResponse(
                name=f"keys/{KID}",
                outcome=pb.KEY_CHECK_OUTCOME_PIN_REFUSED,
                duration=Duration(nanos=5_000_000),
                detail="Check the PIN file.",
            ),
        )
        assert (await client.disable_key(KID, "Leaked.")).state is KeyState.DISABLED
        assert double.requests("DisableKey")[0].reason == "Leaked."
        check = await client.check_key(KID)
        assert check.outcome is KeyCheckOutcome.PIN_REFUSED
        assert check.duration == timedelta(milliseconds=5)


METHODS = [
    TlsClientAuth(CertificateName.SUBJECT_DN, "CN=billing,O=Acme"),
    TlsClientAuth(CertificateName.SAN_DNS, "billing.example"),
    TlsClientAuth(CertificateName.SAN_URI, "spiffe://example.org/billing"),
    TlsClientAuth(CertificateName.SAN_IP, "192.0.2.1"),
    TlsClientAuth(CertificateName.SAN_EMAIL, "billing@example.org"),
    SelfSignedTlsClientAuth((b"der-1", b"der-2")),
    PrivateKeyJwtAuth('{"keys":[]}'),
    ClientSecretBasicAuth(),
    ClientSecretPostAuth(),
]


class TestClients:
    """ClientService."""

    @pytest.mark.parametrize("method", METHODS, ids=lambda each: getattr(each, "kind", type(each).__name__))
    async def test_create_returns_what_was_sent(self, client, double, method):
        """Every way of authentication survives the way to the gateway and back."""

        async def echo(request, _context):
            sent = request.client
            sent.client_id = request.client_id
            return client_service_pb2.CreateClientResponse(client=sent)

        double.will("CreateClient", echo)
        created = await client.create_client(
            "billing",
            authentication=method,
            display_name="Billing",
            grant_types=[GrantType.CLIENT_CREDENTIALS],
            scopes={"read"},
            audiences={"https://orders.example"},
            default_audience="https://orders.example",
            resources={"https://billing.example"},
            certificate_bound_access_tokens=True,
            access_token_lifetime=timedelta(minutes=5),
        )
        assert created.client_secret is None
        assert created.client.client_id == "billing"
        assert created.client.authentication == method
        assert created.client.grant_types == {GrantType.CLIENT_CREDENTIALS}
        assert created.client.scopes == {"read"}
        assert created.client.default_audience == "https://orders.example"
        assert created.client.access_token_lifetime == timedelta(minutes=5)
        assert created.client.certificate_bound_access_tokens
        assert len(double.requests("CreateClient")[0].request_id) == 36

    async def test_secret_is_returned(self, client, double):
        """A generated secret comes with the client, at creation and at rotation."""
        pb = client_service_pb2
        double.will("CreateClient", pb.CreateClientResponse(client_secret="first"))
        double.will("RotateClientSecret", pb.RotateClientSecretResponse(client_secret="second"))
        created = await client.create_client(authentication=ClientSecretBasicAuth())
        rotated = await client.rotate_client_secret("billing", etag="1")
        assert (created.client_secret, rotated.client_secret) == ("first", "second")
        [request] = double.requests("RotateClientSecret")
        assert (request.name, request.etag) == ("clients/billing", "1")

    async def test_get(self, client, double):
        """A client is named by its id; what is absent is None."""
        message = client_service_pb2.Client(client_id="billing", grant_types=[99])
        double.will("GetClient", client_service_pb2.GetClientResponse(client=message))
        found = await client.get_client("billing")
        assert (found.authentication, found.default_audience, found.access_token_lifetime) == (
            None,
            None,
            None,
        )
        assert found.grant_types == {GrantType.UNRECOGNIZED}
        assert double.requests("GetClient")[0].name == "clients/billing"

    async def test_list_walks_pages(self, client, double):
        """A list follows the page tokens until there is none."""
        pb = client_service_pb2
        double.will(
            "ListClients",
            pb.ListClientsResponse(clients=[pb.Client(client_id="a")], next_page_token="next"),
            pb.ListClientsResponse(clients=[pb.Client(client_id="b")]),
        )
        assert [each.client_id for each in await client.list_clients()] == ["a", "b"]

    async def test_update_names_what_is_given(self, client, double):
        """An update changes the fields that are given and no other; None clears one."""
        double.will("UpdateClient", client_service_pb2.UpdateClientResponse())
        await client.update_client(
            "billing",
            etag="7",
            scopes=["read"],
            disabled=False,
            default_audience=None,
            access_token_lifetime=None,
            authentication=TlsClientAuth(CertificateName.SAN_DNS, "new.example"),
        )
        [request] = double.requests("UpdateClient")
        assert list(request.update_mask.paths) == [
            "access_token_lifetime",
            "default_audience",
            "disabled",
            "scopes",
            "tls_client_auth",
        ]
        assert (request.client.name, request.client.etag) == ("clients/billing", "7")
        assert list(request.client.scopes) == ["read"]
        assert not request.client.HasField("access_token_lifetime")

    async def test_delete(self, client, double):
        """A deletion names the client and the etag that it was read with."""
        double.will("DeleteClient", client_service_pb2.DeleteClientResponse())
        assert await client.delete_client("billing", etag="7") is None
        assert double.requests("DeleteClient") == [
            client_service_pb2.DeleteClientRequest(name="clients/billing", etag="7")
        ]
