"""Databases and values for tests of the store, the same for both databases.

`DATABASES` names them; `empty_database` gives the URL of a new one. PostgreSQL is one server per process,
started when it is first asked for.
"""

import atexit
import functools
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.idempotency import IdempotencyKey
from gateway.jose.jwk import Jwk, JwkSet
from gateway.keys.model import KeyPurpose, KeyRecord, KeyState
from gateway.pki.certificate_identity import CertificateIdentity, IdentityKind
from gateway.tokens.client import Client, ClientAuthenticationMethod, GrantType
from signers import Algorithm
from tests.support.pki import self_signed
from tests.support.postgres import PostgresServer, running_postgres

DATABASES = ("sqlite", "postgresql")
REPOSITORY = Path(__file__).parents[2]

NOW = 1_900_000_000.0
"""Seconds since the epoch; what a fixed clock of a test says."""


@functools.cache
def shared_postgres() -> PostgresServer:
    """The server of this test process, stopped when the process ends."""
    server = running_postgres()
    started = server.__enter__()
    atexit.register(server.__exit__, None, None, None)
    return started


@contextmanager
def empty_database(kind: str, folder: Path) -> Iterator[str]:
    """The URL of a new database, not migrated; a SQLite file does not exist yet."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/var/state.db"
    else:
        with shared_postgres().new_database() as url:
            yield url


def store_process(*arguments: str) -> list[str]:
    """The command line of another process that uses the store, see `tests.support.store_process`."""
    return [sys.executable, "-m", "tests.support.store_process", *arguments]


def client(client_id: str = "backend", **changes: Any) -> Client:
    """A client that authenticates by certificate name; times have no fraction below a microsecond."""
    values: dict[str, Any] = {
        "client_id": client_id,
        "display_name": "Back end",
        "authentication_method": ClientAuthenticationMethod.TLS_CLIENT_AUTH,
        "identity": CertificateIdentity.parse(IdentityKind.SAN_DNS, "backend.example.org"),
        "jwks": None,
        "secret_hash": None,
        "grant_types": frozenset({GrantType.CLIENT_CREDENTIALS}),
        "scopes": frozenset({"read", "write"}),
        "audiences": frozenset({"https://api.example.org"}),
        "default_audience": "https://api.example.org",
        "resources": frozenset(),
        "certificate_bound_access_tokens": True,
        "access_token_lifetime": None,
        "disabled": False,
        "revision": 1,
        "create_time": NOW,
        "update_time": NOW,
    }
    return Client(**(values | changes))


def self_signed_client(client_id: str, **changes: Any) -> tuple[Client, bytes]:
    """A client that registered its own certificate, and that certificate, DER."""
    issued = self_signed(client_id)
    jwks = JwkSet((Jwk(issued.key.public_key(), x5c=(issued.der,)),))
    registered = client(
        client_id,
        authentication_method=ClientAuthenticationMethod.SELF_SIGNED_TLS_CLIENT_AUTH,
        identity=None,
        jwks=jwks,
        **changes,
    )
    return registered, issued.der


def key_record(key_id: str, **changes: Any) -> KeyRecord:
    """A prepared Ed25519 key for tokens."""
    values: dict[str, Any] = {
        "key_id": key_id,
        "purpose": KeyPurpose.TOKENS,
        "algorithm": Algorithm.EDDSA,
        "uri": f"file:{key_id}.pem",
        "public_key_der": b"\x30\x00" + key_id.encode(),
        "state": KeyState.PREPARED,
        "create_time": NOW,
        "activate_time": None,
        "retire_time": None,
        "disable_time": None,
        "disable_reason": "",
        "revision": 1,
    }
    return KeyRecord(**(values | changes))


def request_key(request_id: str, digest: bytes = bytes(32), caller: str = "admin") -> IdempotencyKey:
    """An idempotency key."""
    return IdempotencyKey(caller, "/countersign.v1.ClientService/CreateClient", request_id, digest)


class SettableClock:
    """A clock that stands still until it is set; starts at `NOW`."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def soon() -> float:
    """An expiry a minute from the real now, seconds since the epoch."""
    return time.time() + 60
