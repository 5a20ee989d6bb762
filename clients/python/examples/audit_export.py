# ruff: noqa: INP001, T201 - a program of its own, which prints.
r"""Fetch what is new in the audit log, as files that ``countersign audit verify`` checks offline.

    python audit_export.py --target localhost:50052 --ca ca.pem \
        --certificate siem.pem --private-key siem.key --folder exports

Each run goes on behind the last file in the folder, and ends where the log ends when the run begins. A file
holds up to ``--segments`` segments and is named by its first and last; it gets that name once it is whole, so
one that broke off is fetched again. To the gateway this program is a caller with the role auditor. Options
may come from the environment instead: EXAMPLE_TARGET, EXAMPLE_CA, and so on.
"""

import argparse
import os
from pathlib import Path

from countersign import CountersignError, SyncGatewayClient, TlsConfig


def fetch(gateway: SyncGatewayClient, folder: Path, first: int, last: int, segments: int) -> int:
    """Write one export; returns the number of the segment that comes next."""
    partial = folder / "partial"
    following = first
    with partial.open("wb") as file:
        for batch in gateway.export_audit_log(first, last, max_segments=segments):
            file.writelines(line + b"\n" for line in batch.lines)
            following = batch.next_sequence_number or following
        file.flush()
        os.fsync(file.fileno())
    name = f"audit-{first:019}-{following - 1:019}.jsonl"
    partial.rename(folder / name)
    print(f"segments {first} to {following - 1}: {name}")
    return following


def run(options: argparse.Namespace) -> None:
    folder: Path = options.folder
    folder.mkdir(exist_ok=True)
    fetched = [int(path.stem.rpartition("-")[2]) for path in folder.glob("audit-*.jsonl")]
    first = max(fetched, default=0) + 1
    tls = TlsConfig(ca=options.ca, certificate=options.certificate, private_key=options.private_key)
    with SyncGatewayClient(options.target, tls=tls) as gateway:
        head = gateway.get_audit_log_head()
        if head.sequence_number < first - 1:
            raise SystemExit(f"the log ends at segment {head.sequence_number}, and {first - 1} was there")
        # Pruned segments are in somebody's files, if not in these.
        first = max(first, head.pruned_sequence_number + 1)
        while first <= head.sequence_number:
            first = fetch(gateway, folder, first, head.sequence_number, options.segments)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fetch what is new in the audit log.")
    for name in ("target", "ca", "certificate", "private-key"):
        default = os.environ.get(f"EXAMPLE_{name.upper().replace('-', '_')}")
        parser.add_argument(f"--{name}", default=default, required=default is None)
    parser.add_argument("--folder", type=Path, default=Path(os.environ.get("EXAMPLE_FOLDER", "exports")))
    parser.add_argument("--segments", type=int, default=10_000, help="in one file, at most")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        run(arguments())
    except CountersignError as error:
        raise SystemExit(str(error)) from None
