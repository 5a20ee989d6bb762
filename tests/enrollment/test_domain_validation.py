"""http-01, dns-01 and tls-alpn-01 against real servers on this host, reached through the door for tests."""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from gateway.enrollment import domain_validation
from gateway.enrollment.domain_validation import DomainValidator
from gateway.enrollment.identifiers import Identifier, IdentifierType
from gateway.enrollment.model import ChallengeType
from gateway.fetching import DangerousLoopbackDoor, GuardedClient
from gateway.jose import base64url
from tests.support.pki import Issued, common_name, new_key

HOST = "www.example.org"
TOKEN = "t" * 32
KEY_AUTHORIZATION = f"{TOKEN}.thumbprint"
ACME_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")


class Records:
    """A resolver that knows TXT records and the addresses of no host."""

    def __init__(self, *records: bytes) -> None:
        self.records = records
        self.asked: list[str] = []

    async def txt(self, name: str) -> tuple[bytes, ...]:
        self.asked.append(name)
        return self.records

    async def addresses(self, host: str):
        raise AssertionError(host)


def validator(ports: dict[int, int], *records: bytes) -> DomainValidator:
    """A validator whose host is this one, at *ports*."""
    door = DangerousLoopbackDoor(frozenset({HOST}), port_map=ports)
    resolver = Records(*records)
    return DomainValidator(GuardedClient(resolver, door=door), resolver)  # type: ignore[arg-type]  # TXT only.


async def judge(subject: DomainValidator, kind: ChallengeType, value: str = HOST):
    """What is wrong, None where nothing is."""
    type_ = IdentifierType.IP if value[0].isdigit() else IdentifierType.DNS
    verdict = await subject.judge(kind, Identifier(type_, value), TOKEN, KEY_AUTHORIZATION)
    return verdict.error


@asynccontextmanager
async def web(status: str, body: bytes, *, delay: float | None = None) -> AsyncIterator[dict[int, int]]:
    """A web server with one answer for the right path; yields the ports."""
    requests = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        if delay is not None:
            await asyncio.sleep(delay)
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield {80: server.sockets[0].getsockname()[1]}
    assert all(
        request.startswith(f"GET /.well-known/acme-challenge/{TOKEN} ".encode()) for request in requests
    )


class TestHttp:
    """http-01."""

    @pytest.mark.parametrize("end", [b"", b"\n", b" \r\n"])
    async def test_the_key_authorization_is_found(self, end):
        """White space after it does not matter."""
        async with web("200 OK", KEY_AUTHORIZATION.encode() + end) as ports:
            assert await judge(validator(ports), ChallengeType.HTTP) is None

    @pytest.mark.parametrize(
        ("status", "body", "kind"),
        [
            ("200 OK", b"other", "unauthorized"),
            ("200 OK", b"", "unauthorized"),
            ("200 OK", b" " + KEY_AUTHORIZATION.encode(), "unauthorized"),
            ("404 Not Found", KEY_AUTHORIZATION.encode(), "unauthorized"),
            ("200 OK", b"x" * 5000, "connection"),
        ],
    )
    async def test_anything_else_is_refused(self, status, body, kind):
        """Another text, another status, too much."""
        async with web(status, body) as ports:
            assert (await judge(validator(ports), ChallengeType.HTTP)).type == kind

    async def test_nobody_there(self):
        """A port that takes no connection."""
        assert (await judge(validator({80: 1}), ChallengeType.HTTP)).type == "connection"

    async def test_a_host_that_does_not_answer_is_given_up(self, monkeypatch):
        """The deadline covers everything."""
        monkeypatch.setattr(domain_validation, "DEADLINE", 0.2)
        async with web("200 OK", b"", delay=5) as ports:
            assert (await judge(validator(ports), ChallengeType.HTTP)).type == "connection"

    @pytest.mark.parametrize("value", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1"])
    async def test_inner_addresses_are_never_asked(self, value):
        """Whoever orders for an inner address learns nothing of it."""
        async with web("200 OK", KEY_AUTHORIZATION.encode()) as ports:
            found = await judge(validator(ports), ChallengeType.HTTP, value)

        assert (found.type, "address_refused" in found.detail) == ("connection", True)


class TestDns:
    """dns-01."""

    DIGEST = base64url.encode(hashlib.sha256(KEY_AUTHORIZATION.encode()).digest()).encode()

    @pytest.mark.parametrize("value", [HOST, f"*.{HOST}"])
    async def test_one_of_the_records_is_it(self, value):
        """The name asked for is the domain's, also for a wildcard."""
        subject = validator({}, b"other", self.DIGEST)

        assert await judge(subject, ChallengeType.DNS, value) is None
        assert subject.resolver.asked == [f"_acme-challenge.{HOST}"]

    @pytest.mark.parametrize("records", [(), (b"other",), (DIGEST + b" ",), (b"\xff",)])
    async def test_no_record_is_it(self, records):
        """None at all, or none that is equal."""
        assert (await judge(validator({}, *records), ChallengeType.DNS)).type == "unauthorized"


def shown(**changes) -> x509.Certificate:
    """The certificate of tls-alpn-01, with any part changed."""
    digest = hashlib.sha256(changes.get("authorization", KEY_AUTHORIZATION).encode()).digest()
    extension = x509.UnrecognizedExtension(ACME_IDENTIFIER, b"\x04\x20" + digest)
    names = [x509.DNSName(name) for name in changes.get("names", [HOST])]
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(common_name("acme"))
        .issuer_name(common_name("acme"))
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )
    if changes.get("extension", True):
        builder = builder.add_extension(extension, critical=changes.get("critical", True))
    return builder.sign(KEY, hashes.SHA256())


KEY = new_key()


@asynccontextmanager
async def tls(folder, certificate, protocol="acme-tls/1") -> AsyncIterator[dict[int, int]]:
    """A TLS server with *certificate* that speaks *protocol*; yields the ports."""
    chain, key = Issued(certificate, KEY).write(folder, "alpn")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    context.set_alpn_protocols([protocol])
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        yield {443: server.sockets[0].getsockname()[1]}


class TestTlsAlpn:
    """tls-alpn-01."""

    async def test_the_certificate_shows_the_key_authorization(self, tmp_path):
        """Self-signed, for the one name, with the critical extension."""
        async with tls(tmp_path, shown()) as ports:
            assert await judge(validator(ports), ChallengeType.TLS_ALPN) is None

    @pytest.mark.parametrize(
        "changes",
        [
            {"authorization": "other"},
            {"names": ["other.example.org"]},
            {"names": [HOST, "other.example.org"]},
            {"critical": False},
            {"extension": False},
        ],
        ids=lambda changes: next(iter(changes)),
    )
    async def test_any_other_certificate_is_refused(self, tmp_path, changes):
        """Another digest or name, one name too many, the extension missing or not critical."""
        async with tls(tmp_path, shown(**changes)) as ports:
            assert (await judge(validator(ports), ChallengeType.TLS_ALPN)).type == "unauthorized"

    async def test_a_server_of_another_protocol_is_refused(self, tmp_path):
        """A web server with the right certificate by chance has not agreed to this."""
        async with tls(tmp_path, shown(), "http/1.1") as ports:
            assert (await judge(validator(ports), ChallengeType.TLS_ALPN)).type in {"unauthorized", "tls"}

    async def test_a_server_that_speaks_no_tls(self):
        """The handshake fails."""
        async with web("200 OK", b"") as ports:
            pass
        assert (await judge(validator({443: ports[80]}), ChallengeType.TLS_ALPN)).type == "connection"
