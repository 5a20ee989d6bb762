"""A Prometheus that scrapes what a test serves."""

import json
import shutil
import subprocess
import time
import urllib.error
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.dashboard_queries import Prometheus

_PATIENCE = 30.0
_STOP = 10.0


@contextmanager
def running_prometheus(
    folder: Path, port: int, targets: Sequence[str], *, interval: str = "250ms", rules: Path | None = None
) -> Iterator[Prometheus]:
    """One in *folder*, at *port*, that asks *targets* (``host:port``) every *interval*, until the end of the
    block.
    """
    program = shutil.which("prometheus")
    assert program is not None, "Run .ci/need-prometheus."
    config = {
        "global": {"scrape_interval": interval, "evaluation_interval": interval},
        "scrape_configs": [{"job_name": "countersign", "static_configs": [{"targets": list(targets)}]}],
        "rule_files": [] if rules is None else [str(rules)],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML.
    address = f"127.0.0.1:{port}"
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        server = Prometheus(address)
        _wait(server, process, folder / "prometheus.log")
        yield server
    finally:
        process.terminate()
        try:
            process.wait(_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(server: Prometheus, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            server.names()
        except urllib.error.URLError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        else:
            return
