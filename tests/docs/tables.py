"""The tables in docs/ that code is the source of.

python -m tests.docs.tables writes them anew.
"""

import enum
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from gateway.config import Settings
from gateway.dids import DidError, DidFault
from gateway.edge.oauth_errors import OAUTH
from gateway.errors import Reason
from gateway.presentations import rules
from gateway.presentations.exchange import rules as exchange_rules
from gateway.presentations.linkage_errors import LinkageError, LinkageFault
from gateway.presentations.status import rules as status_rules
from gateway.rpc.status import STATUS
from gateway.telemetry.families import FAMILIES
from tests.support import sql_features

DOCS = Path(__file__).resolve().parents[2] / "docs"
_ITEM = re.compile(r"^- ((?:`\w+`(?:, )?)+): (.*?)(?=^- |\Z)", re.MULTILINE | re.DOTALL)


def fields() -> str:
    """One table for each section of the configuration, from its class."""
    return "\n".join(_sections())


def _sections() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        model = next((t for t in (field.annotation, *get_args(field.annotation)) if _is_section(t)), None)
        if model is None:
            continue
        repeated = bool(get_args(field.annotation))
        meanings = _meanings(model)
        yield f"#### {f'[[{name}]]' if repeated else f'[{name}]'}\n"
        yield f"{_first_sentence(model)}\n"
        yield "| field | default | meaning |"
        yield "|---|---|---|"
        for key, info in model.model_fields.items():
            yield f"| `{key}` | {_default(info.default)} | {meanings[key]} |"
        yield ""


def _is_section(candidate: object) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, BaseModel)


def _meanings(model: type[BaseModel]) -> dict[str, str]:
    text = re.sub(r"\n    ", "\n", model.__doc__ or "")
    meanings = {}
    for names, meaning in _ITEM.findall(text):
        for name in re.findall(r"\w+", names):
            meanings[name] = " ".join(meaning.split()).replace("``", "`").replace("|", "\\|")
    return meanings


def _first_sentence(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split("\n\n")[0].split())


def _default(value: object) -> str:
    if value is PydanticUndefined:
        return "*required*"
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ", ".join(f"`{_plain(item)}`" for item in value)
    return f"`{_plain(value)}`"


def _plain(value: object) -> str:
    if isinstance(value, enum.Enum):
        return str(value.value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def codes() -> dict[str, str]:
    """The gRPC code of each reason."""
    return {reason.value: STATUS[reason].name for reason in Reason}


def oauth() -> str:
    """The HTTP status and OAuth error of each reason that an OAuth endpoint tells."""
    rows = [f"| `{row.error}` | {row.status} | {reason} |" for reason, row in OAUTH.items()]
    return "\n".join(["| error | status | reason |", "|---|---|---|", *sorted(rows)])


def checks() -> list[tuple[str, str]]:
    """The code and the clause of every check of a presentation, in the order applied."""
    every = (rules.CLAUSES, exchange_rules.CLAUSES, status_rules.CLAUSES)
    return [(code.value, clause) for clauses in every for code, clause in clauses.items()]


def did_codes() -> list[tuple[str, str, str]]:
    """The code, the outcome and the clause of every fault of DIDs."""
    errors = [DidError(fault, "") for fault in DidFault]
    return [(error.fault.value, error.outcome.value, error.clause) for error in errors]


def linkage_codes() -> list[tuple[str, str]]:
    """The code and the clause of every fault of linked domains."""
    return [(fault.value, LinkageError(fault, "").clause) for fault in LinkageFault]


def metrics() -> str:
    """One row for each metric, from `gateway.telemetry.families`."""
    rows = [
        f"| `{family.name}` | {family.kind} | {', '.join(f'`{label}`' for label in family.labels)} "
        f"| {family.meaning} |"
        for family in FAMILIES
    ]
    return "\n".join(["| metric | type | labels | meaning |", "|---|---|---|---|", *rows])


def alerts() -> list[str]:
    """The names of the alert rules, in their order."""
    rules = yaml.safe_load((DOCS / "dashboards" / "alerts.yml").read_text(encoding="utf-8"))
    return [rule["alert"] for group in rules["groups"] for rule in group["rules"]]


def replaced(document: str, name: str, table: str) -> str:
    """*document* with *table* between the markers of *name*."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, _, rest = document.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{table}\n{end}{after}"


if __name__ == "__main__":
    for file, name, table in (
        ("operations.md", "fields", fields()),
        ("oauth.md", "oauth", oauth()),
        ("observability.md", "metrics", metrics()),
        ("replicas.md", "sql", sql_features.table()),
    ):
        path = DOCS / file
        path.write_text(replaced(path.read_text(encoding="utf-8"), name, table), encoding="utf-8")
