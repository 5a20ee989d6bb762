"""No secret is in what a gateway writes at level DEBUG, whichever door it came through or left by.

Which fields of the API hold secrets the API itself says (``debug_redact``), so that a new one is tried here
without another line. Beside these a random text stands wherever OAuth, DPoP or a login has a secret, and
whatever the gateway hands out is looked for as well.
"""

import base64
import importlib
import json
import secrets
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import product

import grpc
import httpx
import pytest
from countersign import ClientSecret, SyncGatewayClient, TlsConfig
from countersign.clients import AccessTokenFormat, ClientSecretPostAuth, GrantType, PrivateKeyJwtAuth
from google.protobuf.message_factory import GetMessageClass

from gateway.cli.development import CLIENT_ID, ISSUER, RESOURCE
from softhsm.provision import provision
from tests.support.assertions import claims, jwks_of, signed
from tests.support.development import development_gateway
from tests.support.dpop import Prover
from tests.support.edge import free_ports
from tests.support.otlp import grpc_collector
from tests.support.pki import new_key

MODULES = (
    "authorization_service",
    "client_service",
    "enrollment_service",
    "introspection_service",
    "key_service",
    "presentation_service",
    "token_service",
)
FORM_FIELDS = (
    "access_token", "actor_token", "assertion", "client_assertion", "client_secret", "code", "code_verifier",
    "id_token", "password", "refresh_token", "request", "response", "state", "subject_token", "token",
    "vp_token",
)  # fmt: skip
FORMS = ("/oauth2/token", "/oauth2/introspect", "/oauth2/revoke", "/oauth2/par", "/presentations/response")
PATHS = (*FORMS, "/oauth2/authorize", "/oauth2/callback", "/presentations/requests/unknown", "/nowhere")
HEADERS = {
    "authorization": ("Bearer {}", "DPoP {}", "Basic {}", "Digest {}", "{}"),
    "dpop": ("{}",),
    "cookie": ("session={}",),
    "x-forwarded-client-cert": ("{}",),
}
GRANT_TYPES = ("client_credentials", "refresh_token", "authorization_code", GrantType.TOKEN_EXCHANGE.value)
DEPTH = 5


class Canaries:
    """Texts that must not be found, and where each was put."""

    def __init__(self):
        self.put = {}

    def text(self, place):
        """A new one."""
        value = secrets.token_urlsafe(24)
        self.put[value] = place
        return value

    def jwt(self, place):
        """A new one in the form of a JWT."""
        head = base64.urlsafe_b64encode(b'{"alg":"ES256"}').rstrip(b"=").decode()
        return f"{head}.{self.text(f'{place}, payload')}.{self.text(f'{place}, signature')}"

    def issued(self, value, place):
        """Something real: all of it, and each part of a JWT behind its header."""
        parts = value.split(".")
        for part in parts[1:] if len(parts) > 1 else parts:
            self.put[part] = place
        return value

    def found_in(self, text):
        """Where those came from that are in *text*."""
        return sorted({place for value, place in self.put.items() if value in text})


@pytest.fixture(scope="module")
def canaries():
    """Everything secret of this module."""
    return Canaries()


@pytest.fixture(scope="module")
def written(tmp_path_factory, canaries):
    """What a gateway process has written, and a collector was sent, once it has been through all of it."""
    folder = tmp_path_factory.mktemp("secrets")
    hsm = provision(folder / "hsm", token="gateway", keys=["tokens:ES256"])
    canaries.put[hsm.pin_file.read_text().strip()] = "PIN"
    (folder / "headers").write_text(f"x-api-key: {canaries.text('headers file of the collector')}\n")
    with grpc_collector() as (collector, port):
        environment = {
            **hsm.environment,
            "COUNTERSIGN_LOG__LEVEL": "DEBUG",
            "COUNTERSIGN_LOG__FORMAT": "json",
            "COUNTERSIGN_METRICS__ENABLED": "true",
            "COUNTERSIGN_METRICS__ADDRESS": f"127.0.0.1:{free_ports(1)[0]}",
            "COUNTERSIGN_TRACING__ENABLED": "true",
            "COUNTERSIGN_TRACING__RATIO": "1",
            "COUNTERSIGN_TRACING__ENDPOINT": f"http://127.0.0.1:{port}",
            "COUNTERSIGN_TRACING__HEADERS_FILE": str(folder / "headers"),
        }
        https = f"127.0.0.1:{free_ports(1)[0]}"
        options = ("--key", hsm.uri("tokens"), "--algorithm", "ES256", "--https-address", https)
        with development_gateway(folder / "var", *options, environment=environment) as gateway:
            base = f"https://localhost:{https.rpartition(':')[2]}"
            tls = ssl.create_default_context(cafile=str(gateway.folder / "ca.pem"))
            with httpx.Client(base_url=base, verify=tls, trust_env=False, timeout=30) as http:
                ask_with_good_secrets(gateway, http, canaries)
                ask_every_method(gateway, canaries)
                ask_every_path(http, canaries)
        return (folder / "var.log").read_text(), collector.requests


def ask_with_good_secrets(gateway, http, canaries):
    """Secrets, assertions, proofs and tokens that are accepted."""
    key, prover = new_key(), Prover.es256()
    fields = {"scopes": ["read"], "audiences": [RESOURCE, ISSUER], "default_audience": RESOURCE}
    grants = [GrantType.CLIENT_CREDENTIALS, GrantType.TOKEN_EXCHANGE]
    with connect(gateway, "admin") as admin:
        made = admin.create_client(
            "post", authentication=ClientSecretPostAuth(), grant_types=grants, **fields
        )
        secret = canaries.issued(made.client_secret, "client secret")
        admin.create_client(
            "opaque",
            authentication=PrivateKeyJwtAuth(jwks_of(key, kids=("own",)).decode()),
            grant_types=grants,
            access_token_format=AccessTokenFormat.OPAQUE,
            **fields,
        )
    with connect(gateway, None) as nobody:
        token = canaries.issued(
            nobody.mint_token("post", credential=ClientSecret(secret)).value, "access token over gRPC"
        )
    with connect(gateway, "orders-api") as api:
        api.introspect_token(token)
    assertion = canaries.issued(
        signed(key, claims(time.time(), "opaque", aud=ISSUER), kid="own"), "client assertion"
    )
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion,
    }
    answers = [http.post("/oauth2/token", data=form) for _ in range(2)]  # The second is a replay.
    assert [each.status_code for each in answers] == [200, 401]
    canaries.issued(answers[0].json()["access_token"], "opaque token")
    posted = {"grant_type": "client_credentials", "client_id": "post", "client_secret": secret}
    url = f"{ISSUER}/oauth2/token"
    proof = canaries.issued(prover.proof(iat=int(time.time()), htu=url), "DPoP proof")
    bound = [http.post("/oauth2/token", data=posted, headers={"dpop": proof}) for _ in range(2)]
    assert [each.status_code for each in bound] == [200, 400]
    other = canaries.issued(bound[0].json()["access_token"], "access token over HTTPS")
    credentials = {"client_id": "post", "client_secret": secret}
    exchange = {"subject_token": token, "subject_token_type": "urn:ietf:params:oauth:token-type:access_token"}
    exchanged = http.post(
        "/oauth2/token", data={"grant_type": GrantType.TOKEN_EXCHANGE.value, **credentials, **exchange}
    )
    assert exchanged.status_code == 200, exchanged.text
    canaries.issued(exchanged.json()["access_token"], "exchanged token")
    for text, ours in ((token, 200), (other, 200), (answers[0].json()["access_token"], 400)):
        http.get(f"/oauth2/userinfo/{text}")
        http.get("/oauth2/jwks", headers={"authorization": f"Bearer {text}"})
        assert http.post("/oauth2/revoke", data={**credentials, "token": text}).status_code == ours


def connect(gateway, name):
    """A client of the gateway as one of its sample callers, or as nobody."""
    folder = gateway.folder
    tls = TlsConfig(
        ca=folder / "ca.pem",
        certificate=None if name is None else folder / f"{name}.pem",
        private_key=None if name is None else folder / f"{name}-key.pem",
    )
    return SyncGatewayClient(gateway.tls, mtls_target=gateway.mtls, tls=tls)


def ask_every_method(gateway, canaries):
    """Each method with a secret in each field that may hold one, as every kind of caller."""
    tried = 0
    for name in ("admin", "orders-backend", "orders-api", None):
        with channel(gateway, name) as opened:
            for method in methods():
                requested = GetMessageClass(method.input_type)
                for path in secret_fields(method.input_type):
                    place = f"{method.full_name}: {'.'.join(each.name for each in path)}"
                    request = filled(requested(), path, canaries.text(place))
                    call(opened, method, request, ())
                    tried += 1
                secret = canaries.text(f"{method.full_name}: metadata")
                call(opened, method, requested(), proven_by(secret))
    assert tried > 60


def methods():
    """Every method of the API."""
    for name in MODULES:
        module = importlib.import_module(f"countersign.v1.{name}_pb2")
        for service in module.DESCRIPTOR.services_by_name.values():
            yield from service.methods


def secret_fields(message, depth=DEPTH) -> Iterator[tuple]:
    """The path of every field in *message*, or in a message in it, that the API marks as secret."""
    for field in message.fields:
        if field.GetOptions().debug_redact and field.message_type is None:
            yield (field,)
        elif field.message_type is not None and not field.message_type.GetOptions().map_entry and depth:
            for rest in secret_fields(field.message_type, depth - 1):
                yield (field, *rest)


def filled(message, path, value):
    """*message* with *value* at *path*, and a client that exists."""
    if "client_id" in message.DESCRIPTOR.fields_by_name:
        message.client_id = CLIENT_ID
    holder = message
    for field in path[:-1]:
        inner = getattr(holder, field.name)
        if hasattr(inner, "add"):
            holder = inner.add()
        else:
            inner.SetInParent()
            holder = inner
    last = path[-1]
    content = value.encode() if last.type == last.TYPE_BYTES else value
    if hasattr(getattr(holder, last.name), "append"):
        getattr(holder, last.name).append(content)
    else:
        setattr(holder, last.name, content)
    return message


def channel(gateway, name):
    """A bare channel as *name*."""
    folder = gateway.folder
    pair = (None, None)
    if name is not None:
        pair = ((folder / f"{name}-key.pem").read_bytes(), (folder / f"{name}.pem").read_bytes())
    credentials = grpc.ssl_channel_credentials((folder / "ca.pem").read_bytes(), *pair)
    return grpc.secure_channel(gateway.tls if name is None else gateway.mtls, credentials)


def proven_by(secret):
    """Metadata with *secret* where a caller and its key are proven, and in what is copied to others."""
    names = ("dpop", "traceparent", "tracestate", "baggage", "cookie")
    return (("authorization", f"Bearer {secret}"), *((name, secret) for name in names))


def call(opened, method, request, metadata):
    """One call, whatever becomes of it."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    with suppress(grpc.RpcError):
        if method.server_streaming:
            stream = opened.unary_stream(path)(request.SerializeToString(), timeout=10, metadata=metadata)
            next(stream)
            stream.cancel()
        else:
            opened.unary_unary(path)(request.SerializeToString(), timeout=10, metadata=metadata)


def ask_every_path(http, canaries):
    """Each form with a secret in each parameter; each path with all of them in the query, in a body that is
    no form, in the path itself, and in each header.
    """
    for path, name in product(FORMS, FORM_FIELDS):
        for make in (canaries.text, canaries.jwt):
            for grant in GRANT_TYPES if path == "/oauth2/token" else GRANT_TYPES[:1]:
                form = {"grant_type": grant, "client_id": CLIENT_ID, name: make(f"{path}: {name}")}
                http.post(path, data=form)
    for path, make in product(PATHS, (canaries.text, canaries.jwt)):
        every = {name: make(f"{path}: {name} in the query") for name in FORM_FIELDS}
        http.get(path, params=every)
        http.post(path, content=json.dumps(every), headers={"content-type": "application/json"})
        for header, forms in HEADERS.items():
            for form in forms:
                http.post(path, headers={header: form.format(make(f"{path}: {header}"))})
    for path in PATHS:
        http.get(f"{path}/{canaries.jwt(f'{path}: in the path')}")


def test_no_secret_is_written(written, canaries):
    """Neither by the gateway nor by a library, on stderr of the supervisor and of its worker."""
    log, _ = written
    assert len(canaries.put) > 500
    assert canaries.found_in(log) == []


def test_no_secret_is_sent_to_the_collector(written, canaries):
    """Nor is one in any span."""
    _, requests = written
    assert requests
    assert canaries.found_in(b"".join(requests).decode("latin-1")) == []


def test_all_of_it_was_written(written):
    """The log is at the level that it should be, has a line for each call, and dropped none."""
    log, _ = written
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert {"DEBUG", "INFO"} <= {each["level"] for each in lines}
    calls = [each for each in lines if each["logger"] == "access"]
    assert len(calls) > 500
    assert "Log lines were dropped" not in log


def test_a_traced_call_is_found_by_its_lines(written):
    """Every call has its trace, and what is logged within it has the same."""
    log, _ = written
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    traces = {each["request_id"]: each["trace_id"] for each in lines if each["logger"] == "access"}
    within = [each for each in lines if "trace_id" in each and each["logger"] not in {"access", "audit"}]
    assert within
    for each in within:
        assert each["trace_id"] == traces[each["request_id"]]
