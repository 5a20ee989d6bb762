"""The database, and what operators see."""

from ipaddress import ip_address
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from gateway.settings.section import Address, Section


class StoreSettings(Section):
    """The database.

    - `url`: ``sqlite:///countersign.db`` or ``postgresql://user@host/database``.
    - `password_file`: holds the PostgreSQL password, which is then kept out of the URL.
    - `pool_size`: PostgreSQL connections per worker.
    - `timeout`: seconds that a statement, or a wait for the right to write, may take.
    - `statement_cache`: prepared statements; off behind a transaction pooler.
    - `notify`: whether PostgreSQL tells every worker at once what others revoke and which keys they change,
      over one more connection per worker; off for a database that speaks its protocol without NOTIFY.
    """

    url: str = "sqlite:///countersign.db"
    password_file: Path | None = None
    pool_size: int = Field(8, ge=1, le=256)
    timeout: float = Field(5.0, gt=0)
    statement_cache: bool = True
    notify: bool = True


class LogSettings(Section):
    """What is logged, on stderr.

    - `level`: the least that is written.
    - `format`: ``json``, one object a line, or ``text``.
    - `access`: whether each call is logged; failures that are the gateway's own always are.
    - `audit`: whether every use of a signing key is logged, by the logger ``audit``.
    """

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["json", "text"] = "json"
    access: bool = True
    audit: bool = True


class MetricsSettings(Section):
    """Metrics in the text format of Prometheus, at ``http://ADDRESS/metrics``, to whoever can connect.

    - `enabled`: whether they are served at all.
    - `address`: where the listener of the first worker binds, ``host:port``; each further worker takes the
      next free port of twice as many as there are workers.
    """

    enabled: bool = False
    address: Address = "127.0.0.1:9464"


class TracingSettings(Section):
    """Traces of OpenTelemetry, sent to a collector by OTLP; see docs/observability.md.

    - `enabled`: whether any are made; needs the extra ``tracing``.
    - `endpoint`: the collector, ``https://host:port``, or ``http://`` without TLS.
    - `protocol`: ``grpc``, or ``http`` (protobuf, to ``/v1/traces``).
    - `ratio`: the part of calls that are traced, 0 to 1.
    - `trust_parent`: whether a caller's ``traceparent`` decides in place of `ratio`, so that callers can have
      all of their calls traced.
    - `ca`: PEM bundle that the collector's certificate leads to; the system's roots where it is left out.
    - `headers_file`: lines ``name: value`` sent with every request, such as an API key; not over ``http://``
      to another machine.
    - `queue`: spans that may wait for the collector; more are dropped and counted.
    - `timeout`: seconds for one request to the collector, retries included.
    - `drain_timeout`: seconds for what is left when the gateway ends, at most 4: a worker is killed after 5.
    """

    enabled: bool = False
    endpoint: str = "http://127.0.0.1:4317"
    protocol: Literal["grpc", "http"] = "grpc"
    ratio: float = Field(0.01, ge=0, le=1)
    trust_parent: bool = False
    ca: Path | None = None
    headers_file: Path | None = None
    queue: int = Field(4096, ge=1, le=1_000_000)
    timeout: float = Field(5.0, gt=0, le=60)
    drain_timeout: float = Field(2.0, ge=0, le=4)

    @field_validator("endpoint")
    @classmethod
    def _is_an_origin(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            complete = parts.scheme in {"http", "https"} and parts.hostname and parts.port
        except ValueError:
            complete = None
        if not complete or parts.path.strip("/") or parts.query or parts.fragment or parts.username:
            raise ValueError("write the collector as https://host:port, for example https://otel:4317")
        return value

    @model_validator(mode="after")
    def _keeps_headers_secret(self) -> Self:
        parts = urlsplit(self.endpoint)
        if (
            self.headers_file is not None
            and parts.scheme == "http"
            and not _is_loopback(parts.hostname or "")
        ):
            raise ValueError("headers_file: they may be secret; use an https:// endpoint, or one on loopback")
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class HealthSettings(Section):
    """How health looks at what the gateway depends on.

    - `interval`: seconds between probes of signers and database.
    - `timeout`: seconds that a probe may take.
    """

    interval: float = Field(5.0, gt=0)
    timeout: float = Field(3.0, gt=0)
