"""The clients in Go and TypeScript hold to the tables of the one in Python; neither language is needed."""

import ast
import re
from pathlib import Path

import pytest
from countersign.errors import CLASS_OF_CODE, CLASS_OF_REASON
from countersign.retry import RetryPolicy
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor

CLIENTS = Path(__file__).resolve().parents[2] / "clients"
GO = CLIENTS / "go"
TYPESCRIPT = CLIENTS / "typescript" / "src"
PYTHON = CLIENTS / "python" / "src" / "countersign"
KINDS = {
    "InvalidRequestError": ("ErrInvalidRequest", "invalid-request"),
    "AuthenticationError": ("ErrUnauthenticated", "unauthenticated"),
    "PermissionDeniedError": ("ErrPermissionDenied", "permission-denied"),
    "NotFoundError": ("ErrNotFound", "not-found"),
    "ConflictError": ("ErrConflict", "conflict"),
    "UnavailableError": ("ErrUnavailable", "unavailable"),
    "DeadlineExceededError": ("ErrDeadlineExceeded", "deadline-exceeded"),
    "CountersignError": ("nil", "other"),
}
SERVICES = (
    "AuditService",
    "AuthorizationService",
    "ClientService",
    "EnrollmentService",
    "IntrospectionService",
    "KeyService",
    "PresentationService",
    "TokenService",
)


def test_reasons_have_the_same_kinds():
    """Every reason means the same in all three languages."""
    expected = {str(reason): KINDS[kind.__name__] for reason, kind in CLASS_OF_REASON.items()}
    go = dict(re.findall(r'^\t"(\w+)":\s+(\w+),$', (GO / "kinds.go").read_text(), re.MULTILINE))
    typescript = dict(
        re.findall(r'^  \["(\w+)", "([\w-]+)"\],$', (TYPESCRIPT / "kinds.ts").read_text(), re.MULTILINE)
    )
    assert go == {reason: kind for reason, (kind, _) in expected.items()}
    assert typescript == {reason: kind for reason, (_, kind) in expected.items()}


def test_codes_have_the_same_kinds():
    """Every status code means the same in all three languages, where there is no reason."""
    expected = {code.name: KINDS[kind.__name__] for code, kind in CLASS_OF_CODE.items()}
    pairs = re.findall(r"^\tcodes\.(\w+):\s+(\w+),$", (GO / "kinds.go").read_text(), re.MULTILINE)
    go = {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", code).upper(): kind for code, kind in pairs}
    text = (TYPESCRIPT / "kinds.ts").read_text()
    typescript = dict(re.findall(r'^  \[status\.(\w+), "([\w-]+)"\],$', text, re.MULTILINE))
    assert go == {code: kind for code, (kind, _) in expected.items()}
    assert typescript == {code: kind for code, (_, kind) in expected.items()}


def listed_in_go() -> set[tuple[str, str]]:
    return set(re.findall(r"pb\.(\w+Service)_(\w+)_FullMethodName", (GO / "repetition.go").read_text()))


def listed_in_typescript() -> set[tuple[str, str]]:
    return set(re.findall(r'"countersign\.v1\.(\w+)\.(\w+)"', (TYPESCRIPT / "repetition.ts").read_text()))


def methods() -> dict[tuple[str, str], MethodDescriptor]:
    files = (
        *("audit", "authorization", "client", "enrollment"),
        *("introspection", "key", "presentation", "token"),
    )
    for name in files:
        __import__(f"countersign.v1.{name}_service_pb2")
    services = [descriptor_pool.Default().FindServiceByName(f"countersign.v1.{name}") for name in SERVICES]
    return {(service.name, method.name): method for service in services for method in service.methods}


def never_repeated_by_python() -> set[str]:
    """The methods whose operations say ``repeatable=False`` whatever they are called with."""
    once = set()
    for path in sorted(PYTHON.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and any(map(_says_once, node.keywords)):
                names = [each.value for each in node.args if isinstance(each, ast.Constant)]
                once.add(names[-1])  # The service, where it is named, comes first.
    return once - {"MintToken"}  # Repeated or not by its grant.


def _says_once(keyword: ast.keyword) -> bool:
    said = keyword.value
    return keyword.arg == "repeatable" and isinstance(said, ast.Constant) and said.value is False


def test_the_same_methods_are_repeated():
    """Go and TypeScript repeat the same methods: every unary one but those that Python sends once."""
    once = never_repeated_by_python()
    unary = {name for name, method in methods().items() if not method.server_streaming}
    expected = {(service, method) for service, method in unary if method not in once}
    assert listed_in_go() == expected
    assert listed_in_typescript() == expected
    assert {"DeleteClient", "UpdateClient", "CreateOrder", "RevokeCertificate", "SubmitPresentation"} <= once


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        (
            GO / "retry.go",
            r"MaxAttempts: +(\d+),\s+Initial\w+: +(\d+) \S+ \S+\s+MaxBackoff: +(\d+) .*\s+Multiplier: +(\d+)",
        ),
        (
            TYPESCRIPT / "retry.ts",
            r"maxAttempts: (\d+),\s+initialBackoffMs: (\d+),\s+maxBackoffMs: (\d)000,\s+multiplier: (\d+)",
        ),
    ],
)
def test_the_same_retry_policy(file, pattern):
    """Unless told otherwise all three repeat as often and after the same pauses."""
    found = re.search(pattern, file.read_text())
    assert found is not None
    attempts, initial_milliseconds, maximum_seconds, multiplier = map(int, found.groups())
    expected = RetryPolicy()
    assert attempts == expected.max_attempts
    assert initial_milliseconds / 1000 == expected.initial_backoff
    assert (maximum_seconds, multiplier) == (expected.max_backoff, expected.multiplier)
