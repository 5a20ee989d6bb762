"""`vault:` key URIs: a Transit key, and how its server is reached."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from signers.errors import KeyUriError
from signers.remote.uri import RemoteUri, parse_remote_uri
from signers.uri_syntax import SecretSource

_PATH = frozenset({"key", "version", "mount", "namespace"})
_QUERY = frozenset(
    {
        "address",
        "ca-file",
        "auth",
        "auth-mount",
        "role",
        "role-id",
        "secret-id-source",
        "token-source",
        "jwt-source",
    }
)
# Transit's own rule for key names; mounts and namespaces are paths of such names.
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
_MOUNT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*\Z")
_VERSION = re.compile(r"[1-9][0-9]{0,8}\Z")
_SERVICE_ACCOUNT = SecretSource("file", "/var/run/secrets/kubernetes.io/serviceaccount/token")


@dataclass(frozen=True, slots=True)
class TokenAuth:
    """A token that somebody else obtained: an agent, an operator."""

    source: SecretSource


@dataclass(frozen=True, slots=True)
class AppRoleAuth:
    """AppRole, at `mount`. A role may need no SecretID."""

    mount: str
    role_id: str
    secret_id_source: SecretSource | None


@dataclass(frozen=True, slots=True)
class JwtAuth:
    """A JWT that is exchanged for a token: the Kubernetes and the JWT/OIDC method, at `mount`."""

    mount: str
    role: str
    source: SecretSource


Auth: TypeAlias = TokenAuth | AppRoleAuth | JwtAuth


@dataclass(frozen=True, slots=True)
class Connection:
    """One server under one set of credentials; equal for the keys that share them."""

    address: str
    namespace: str | None
    ca_file: Path | None
    auth: Auth

    @property
    def name(self) -> str:
        """For logs and errors, and the identity of the provider. References to secrets are no secrets."""
        parts = [self.address]
        if self.namespace is not None:
            parts.append(f"namespace={self.namespace}")
        if self.ca_file is not None:
            parts.append(f"ca-file={self.ca_file}")
        match self.auth:
            case TokenAuth(source):
                parts.append(f"token-source={source}")
            case AppRoleAuth(mount, role_id, source):
                parts += [f"auth-mount={mount}", f"role-id={role_id}", f"secret-id-source={source}"]
            case JwtAuth(mount, role, source):
                parts += [f"auth-mount={mount}", f"role={role}", f"jwt-source={source}"]
        return "vault:" + " ".join(parts)


@dataclass(frozen=True, slots=True)
class VaultUri:
    """A parsed `vault:` URI. `version` is None where the URI leaves it open."""

    key: str
    version: int | None
    mount: str
    connection: Connection
    written: RemoteUri

    @property
    def redacted(self) -> str:
        """What names the key."""
        return self.written.redacted


def parse_vault_uri(uri: str) -> VaultUri:
    """Parse *uri*. Raises `KeyUriError`."""
    written = parse_remote_uri(uri, "vault", path=_PATH, query=_QUERY)
    key = written.required("key")
    if not _KEY.match(key):
        raise KeyUriError("key must be a Transit key's name: letters, digits, '_', '-' and '.'.")
    version = written.path.get("version")
    if version is not None and not _VERSION.match(version):
        raise KeyUriError("version must be a number from 1; leave it out for the latest.")
    address = written.base_url("address")
    if address is None:
        raise KeyUriError("The URI names no server; add '?address=https://host:8200'.")
    return VaultUri(
        key=key,
        version=None if version is None else int(version),
        mount=_mount("mount", written.path.get("mount", "transit")),
        connection=Connection(
            address=address,
            namespace=_mount("namespace", written.path["namespace"]) if "namespace" in written.path else None,
            ca_file=written.absolute_path("ca-file"),
            auth=_auth(written),
        ),
        written=written,
    )


_ALLOWED = {
    "token": frozenset({"token-source"}),
    "approle": frozenset({"auth-mount", "role-id", "secret-id-source"}),
    "kubernetes": frozenset({"auth-mount", "role", "jwt-source"}),
    "jwt": frozenset({"auth-mount", "role", "jwt-source"}),
}
_ALL_AUTH = frozenset[str]().union(*_ALLOWED.values())


def _auth(uri: RemoteUri) -> Auth:
    method = uri.query.get("auth", "token")
    if method not in _ALLOWED:
        raise KeyUriError(f"auth must be one of {', '.join(_ALLOWED)}.")
    foreign = uri.query.keys() & _ALL_AUTH - _ALLOWED[method]
    if foreign:
        raise KeyUriError(f"{min(foreign)} does not belong to auth={method}.")
    mount = _mount("auth-mount", uri.query.get("auth-mount", method))
    if method == "token":
        source = uri.source("token-source")
        if source is None:
            raise KeyUriError("auth=token needs 'token-source=file:/path/to/token'.")
        return TokenAuth(source)
    if method == "approle":
        return AppRoleAuth(mount, _required(uri, "role-id", method), uri.source("secret-id-source"))
    source = uri.source("jwt-source") or (_SERVICE_ACCOUNT if method == "kubernetes" else None)
    if source is None:
        raise KeyUriError("auth=jwt needs 'jwt-source=file:/path/to/jwt'.")
    return JwtAuth(mount, _required(uri, "role", method), source)


def _required(uri: RemoteUri, name: str, method: str) -> str:
    value = uri.query.get(name)
    if value is None:
        raise KeyUriError(f"auth={method} needs '{name}=VALUE'.")
    return value


def _mount(name: str, value: str) -> str:
    # Nothing here may climb out of its path: each segment begins with a letter, a digit or '_'.
    if not _MOUNT.match(value):
        raise KeyUriError(f"{name} must be a path of names, without a slash at either end.")
    return value
