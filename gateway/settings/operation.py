"""The database, and what operators see."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from gateway.settings.section import Address, Section


class StoreSettings(Section):
    """The database.

    - `url`: ``sqlite:///countersign.db`` or ``postgresql://user@host/database``.
    - `password_file`: holds the PostgreSQL password, which is then kept out of the URL.
    - `pool_size`: PostgreSQL connections per worker.
    - `timeout`: seconds that a statement, or a wait for the right to write, may take.
    - `statement_cache`: prepared statements; off behind a transaction pooler.
    """

    url: str = "sqlite:///countersign.db"
    password_file: Path | None = None
    pool_size: int = Field(8, ge=1, le=256)
    timeout: float = Field(5.0, gt=0)
    statement_cache: bool = True


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


class HealthSettings(Section):
    """How health looks at what the gateway depends on.

    - `interval`: seconds between probes of signers and database.
    - `timeout`: seconds that a probe may take.
    """

    interval: float = Field(5.0, gt=0)
    timeout: float = Field(3.0, gt=0)
