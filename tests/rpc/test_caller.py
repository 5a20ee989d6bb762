"""Who calls: certificates at the mutual-TLS port, tokens, and terminators."""

import base64
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from countersign.v1 import token_service_pb2

from gateway.principal import ANONYMOUS, Principal, Role
from gateway.rpc.current import current_call
from gateway.settings.callers import CallerSettings
from gateway.settings.server import TerminatorSettings
from tests.support.pki import SERVER_AUTH, Authority, as_authority, self_signed
from tests.support.rpc_server import LIST_KEYS, MINT, Anchors, reason_of, serving

ROOT = Authority.root()
ISSUING = ROOT.intermediate()
ADMIN_ID = "spiffe://example.org/admin"
ADMIN = ISSUING.leaf("admin", uris=(ADMIN_ID,))
PROXY_ID = "spiffe://example.org/proxy"
PROXY = ROOT.leaf("proxy", uris=(PROXY_ID,))
SELF_SIGNED = self_signed("device-7")
SELF_SIGNED_CA = self_signed("device-8", ca=True)
CALLERS = (
    CallerSettings(san_uri=ADMIN_ID, roles=(Role.ADMIN,)),
    CallerSettings(subject_dn="CN=admin", roles=(Role.RESOURCE_SERVER,), resources=("https://orders",)),
    CallerSettings(subject_dn="CN=plain", roles=(Role.ADMIN,)),
    CallerSettings(san_uri=PROXY_ID, roles=(Role.ADMIN,)),
)
YESTERDAY = datetime.now(tz=UTC) - timedelta(days=1)
TOMORROW = datetime.now(tz=UTC) + timedelta(days=1)


@pytest.fixture
def terminator():
    """No terminator is trusted, as by default."""
    return TerminatorSettings()


@pytest.fixture
async def running(tmp_path, terminator):
    """A server with an admin, a proxy, and two clients that registered their own certificates."""
    anchors = Anchors(SELF_SIGNED, SELF_SIGNED_CA)
    async with serving(
        tmp_path, root=ROOT, callers=CALLERS, anchors=anchors, terminator=terminator
    ) as server:
        yield server


@pytest.fixture
def calls(running):
    """Every `Call` that MintToken, open to anybody, has seen."""
    seen = []

    async def mint(request, context):
        seen.append(current_call())
        return token_service_pb2.MintTokenResponse()

    running.methods.behaviors["MintToken"] = mint
    return seen


async def refused(running, *arguments, **options):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await running.call(*arguments, **options)
    return caught.value


def rfc9440(issued):
    return ("client-cert", f":{base64.b64encode(issued.der).decode()}:")


async def test_a_spiffe_id_is_the_name(running, calls):
    """A certificate whose only URI is a SPIFFE ID gives that name, with what all its entries grant."""
    await running.call(client=ADMIN)
    assert calls[0].principal == Principal(
        ADMIN_ID, frozenset({Role.ADMIN, Role.RESOURCE_SERVER}), frozenset({"https://orders"})
    )
    assert calls[0].certificate.der == ADMIN.der


async def test_without_a_spiffe_id_the_subject_is_the_name(running, calls):
    """The RFC 4514 subject names a caller without SPIFFE ID; two URIs are no SPIFFE ID."""
    await running.call(client=ROOT.leaf("plain"))
    await running.call(client=ROOT.leaf("both", uris=(ADMIN_ID, "spiffe://example.org/other")))
    assert [call.principal.name for call in calls] == ["CN=plain", "CN=both"]


async def test_a_caller_that_nobody_configured_has_no_role(running, calls):
    """A certificate of the PKI without an entry has a name and may do nothing."""
    stranger = ROOT.leaf("stranger")
    await running.call(client=stranger)
    assert calls[0].principal == Principal("CN=stranger")
    assert reason_of(await refused(running, LIST_KEYS, stranger)) == "PERMISSION_DENIED"


async def test_the_tls_port_knows_nobody(running, calls):
    """Without a client certificate the caller is anonymous."""
    await running.call()
    assert calls[0].principal is ANONYMOUS
    assert calls[0].certificate is None
    assert reason_of(await refused(running, LIST_KEYS)) == "CALLER_UNAUTHENTICATED"


async def test_a_registered_certificate_passes_the_handshake_and_is_nobody(running, calls):
    """A self-signed certificate that a client registered is in the call, and gives no principal."""
    await running.call(client=SELF_SIGNED)
    assert calls[0].principal is ANONYMOUS
    assert calls[0].certificate.der == SELF_SIGNED.der
    assert reason_of(await refused(running, LIST_KEYS, SELF_SIGNED)) == "CALLER_UNAUTHENTICATED"


async def test_a_leaf_minted_under_a_registered_ca_is_nobody(running, calls):
    """A client that registered a CA:TRUE certificate cannot mint itself the name of another caller."""
    minted = as_authority(SELF_SIGNED_CA).leaf("admin", uris=(ADMIN_ID,))
    await running.call(client=minted)
    assert calls[0].principal is ANONYMOUS
    assert reason_of(await refused(running, LIST_KEYS, minted)) == "CALLER_UNAUTHENTICATED"
    # The same again, from what is remembered of the certificate.
    assert reason_of(await refused(running, LIST_KEYS, minted)) == "CALLER_UNAUTHENTICATED"


@pytest.mark.parametrize(
    "client",
    [
        pytest.param(Authority.root("Test Root").leaf("admin", uris=(ADMIN_ID,)), id="foreign"),
        pytest.param(
            ROOT.leaf("admin", uris=(ADMIN_ID,), not_after=YESTERDAY, not_before=YESTERDAY - timedelta(1)),
            id="expired",
        ),
        pytest.param(ROOT.leaf("admin", uris=(ADMIN_ID,), not_before=TOMORROW), id="not-yet-valid"),
        pytest.param(self_signed("admin", uris=(ADMIN_ID,)), id="self-signed-unregistered"),
        pytest.param(self_signed("admin", uris=(ADMIN_ID,), ca=True), id="self-signed-ca"),
        pytest.param(
            ROOT.leaf("admin", uris=(ADMIN_ID,), extended_key_usage=(SERVER_AUTH,)), id="server-usage"
        ),
    ],
)
async def test_a_certificate_that_does_not_verify_does_not_connect(running, client):
    """Wrong issuer, wrong time or wrong usage: the handshake fails and no method runs."""
    error = await refused(running, MINT, client, timeout=5)
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert not running.records


async def test_the_mutual_tls_port_demands_a_certificate(running):
    """A client without a certificate cannot use the mutual-TLS port."""
    credentials = grpc.ssl_channel_credentials(ROOT.pem)
    address = f"127.0.0.1:{running.server.ports.mtls}"
    async with grpc.aio.secure_channel(address, credentials) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(MINT)(b"", timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("port", ["tls", "mtls"])
async def test_plaintext_is_refused(running, port):
    """Neither port speaks without TLS."""
    address = f"127.0.0.1:{getattr(running.server.ports, port)}"
    async with grpc.aio.insecure_channel(address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(MINT)(b"", timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert not running.records


async def test_a_token_wins_over_the_certificate(running, calls):
    """The principal is the token's; the certificate stays in the call, and the token is checked with it."""
    principal = Principal("client:backend", frozenset({Role.CLIENT}), client_id="backend")
    running.tokens.principals["bearer", "good"] = principal
    await running.call(client=ADMIN, metadata=[("authorization", "Bearer good")])
    await running.call(metadata=[("authorization", "BEARER good")])
    assert [call.principal for call in calls] == [principal, principal]
    assert running.tokens.seen[0].der == ADMIN.der
    assert running.tokens.seen[1] is None


async def test_a_bad_token_never_falls_back(running):
    """A token that does not hold is refused, though the certificate alone would have done."""
    error = await refused(running, LIST_KEYS, ADMIN, metadata=[("authorization", "Bearer bad")])
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.UNAUTHENTICATED, "INVALID_TOKEN")


@pytest.mark.parametrize(
    "values", [["Bearer good", "Bearer good"], ["good"], ["Bearer"], ["Bearer a b"], ["Bearer "], [""]]
)
async def test_malformed_authorization_is_refused(running, values):
    """One entry, one scheme, one token; anything else is INVALID_TOKEN and reaches no authenticator."""
    metadata = [("authorization", value) for value in values]
    assert reason_of(await refused(running, MINT, metadata=metadata)) == "INVALID_TOKEN"
    assert running.tokens.seen == []


@pytest.mark.parametrize("client", [None, ADMIN, PROXY])
async def test_the_header_is_refused_by_default(running, client):
    """Where no terminator is trusted, nobody may send the header, whoever it is."""
    error = await refused(running, MINT, client, metadata=[rfc9440(ADMIN)])
    assert (error.code(), reason_of(error)) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "TERMINATOR_HEADER_REFUSED",
    )


class TestTrustedTerminator:
    """One proxy is trusted by its SPIFFE ID."""

    @pytest.fixture
    def terminator(self):
        return TerminatorSettings(trusted=(PROXY_ID,))

    async def test_the_header_is_the_clients_certificate(self, running, calls):
        """From the terminator the header is the client's certificate, and gives the principal."""
        direct = ROOT.leaf("plain")
        await running.call(client=PROXY, metadata=[rfc9440(direct)])
        assert calls[0].certificate.der == direct.der
        assert calls[0].principal.name == "CN=plain"

    async def test_the_terminators_own_certificate_counts_for_nothing(self, running, calls):
        """Without the header there is no client certificate and no principal, whatever the proxy may do."""
        await running.call(client=PROXY)
        assert calls[0].certificate is None
        assert calls[0].principal is ANONYMOUS
        assert reason_of(await refused(running, LIST_KEYS, PROXY)) == "CALLER_UNAUTHENTICATED"

    async def test_a_forwarded_certificate_is_verified_here(self, running, calls):
        """A forwarded certificate that the PKI did not issue gives no principal."""
        await running.call(client=PROXY, metadata=[rfc9440(self_signed("admin", uris=(ADMIN_ID,)))])
        assert calls[0].principal is ANONYMOUS

    @pytest.mark.parametrize("client", [None, ADMIN, self_signed("proxy", uris=(PROXY_ID,)), SELF_SIGNED])
    async def test_others_are_refused(self, running, client):
        """The header from anybody else is refused, a registered or a self-made proxy certificate included."""
        if client is not None and client not in (ADMIN, SELF_SIGNED):
            running.anchors.register(client)
            await running.tls.look()
        error = await refused(running, MINT, client, metadata=[rfc9440(ADMIN)])
        assert reason_of(error) == "TERMINATOR_HEADER_REFUSED"

    async def test_two_headers_are_refused(self, running):
        """A header that came twice is refused."""
        error = await refused(running, MINT, PROXY, metadata=[rfc9440(ADMIN), rfc9440(ADMIN)])
        assert reason_of(error) == "TERMINATOR_HEADER_REFUSED"


class TestTerminatorBySubject:
    """One proxy is trusted by its subject."""

    @pytest.fixture
    def terminator(self):
        return TerminatorSettings(trusted=("CN=edge",))

    async def test_names_are_compared_as_names(self, running, calls):
        """The subject is compared as a name, without regard to case."""
        await running.call(client=ROOT.leaf("EDGE"), metadata=[rfc9440(ADMIN)])
        assert calls[0].certificate.der == ADMIN.der

    async def test_a_spiffe_id_goes_before_the_subject(self, running):
        """A workload with a SPIFFE ID is that workload, and not whom its subject names."""
        workload = ROOT.leaf("edge", uris=("spiffe://example.org/workload",))
        error = await refused(running, MINT, workload, metadata=[rfc9440(ADMIN)])
        assert reason_of(error) == "TERMINATOR_HEADER_REFUSED"


async def test_roots_that_are_exchanged_end_a_callers_authority(running, calls):
    """After the client roots were exchanged, certificates of the old ones give no principal."""
    async with running.channel(ADMIN) as channel:
        await channel.unary_unary(LIST_KEYS)(b"", timeout=5)
        running.files.client_ca.write_bytes(Authority.root("Other").pem)
        await running.tls.look()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(LIST_KEYS)(b"", timeout=5)
    assert reason_of(caught.value) == "CALLER_UNAUTHENTICATED"
