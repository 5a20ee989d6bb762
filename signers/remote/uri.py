"""Key URIs of services behind a network: `scheme:name=value;...?name=value&...`.

The path names the key at its service; the query says how the service is reached and where the credentials
are. Credentials themselves are never in a URI.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from signers.errors import KeyUriError
from signers.remote.http import require_base_url
from signers.uri_syntax import (
    SecretSource,
    decode_text,
    escaped,
    parse_attributes,
    query_escaped,
    source_of,
    split_uri,
)


@dataclass(frozen=True, slots=True)
class RemoteUri:
    """A parsed URI, its values decoded; `path` and `query` in the order that they were written in."""

    scheme: str
    path: Mapping[str, str]
    query: Mapping[str, str]

    def required(self, name: str) -> str:
        """The path attribute *name*. Raises `KeyUriError` where it is missing."""
        if name not in self.path:
            raise KeyUriError(f"The URI lacks '{name}'; write '{self.scheme}:{name}=VALUE'.")
        return self.path[name]

    def source(self, name: str) -> SecretSource | None:
        """Where the query attribute *name* says that a secret is; None where it is absent."""
        value = self.query.get(name)
        return None if value is None else source_of(name, value)

    def absolute_path(self, name: str) -> Path | None:
        """The query attribute *name* as a file; None where it is absent. Raises `KeyUriError`."""
        value = self.query.get(name)
        if value is not None and not value.startswith("/"):
            raise KeyUriError(f"{name} must be an absolute path.")
        return None if value is None else Path(value)

    def base_url(self, name: str) -> str | None:
        """The query attribute *name* as a base URL; None where it is absent. Raises `KeyUriError`."""
        value = self.query.get(name)
        return None if value is None else require_base_url(value, name)

    @property
    def redacted(self) -> str:
        """The path attributes: what names the key."""
        return f"{self.scheme}:" + ";".join(f"{name}={escaped(value)}" for name, value in self.path.items())

    def with_path(self, name: str, value: str) -> str:
        """The URI with the path attribute *name* set to *value*."""
        path = {**self.path, name: value}
        query = "&".join(f"{key}={query_escaped(text)}" for key, text in self.query.items())
        written = RemoteUri(self.scheme, path, self.query).redacted
        return f"{written}?{query}" if query else written


def parse_remote_uri(uri: str, scheme: str, *, path: frozenset[str], query: frozenset[str]) -> RemoteUri:
    """Parse *uri*, whose attributes are among *path* and *query*. Raises `KeyUriError`."""
    path_text, query_text = split_uri(uri, scheme)
    named = parse_attributes(path_text, ";", path, "path")
    options = parse_attributes(query_text, "&", query, "query")
    return RemoteUri(
        scheme,
        {name: decode_text(name, value) for name, value in named.items()},
        {name: decode_text(name, value) for name, value in options.items()},
    )
