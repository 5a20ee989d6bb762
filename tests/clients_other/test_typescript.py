"""The client in TypeScript: compiled in strict mode, tested against a scripted gateway."""

import json

from tests.support.client_languages import TYPESCRIPT, succeed


def test_compiles_and_own_tests():
    """It compiles with every strict rule, and its own tests pass."""
    options = json.loads((TYPESCRIPT / "tsconfig.json").read_text())["compilerOptions"]
    assert options["strict"]
    succeed(TYPESCRIPT, "npm", "run", "--silent", "build")
    report = succeed(TYPESCRIPT, "npm", "test", "--silent")
    assert "# fail 0" in report
    assert "# skipped 0" in report


def test_versions_are_exact():
    """Every package is pinned to one version, and no lock file names where it came from."""
    manifest = json.loads((TYPESCRIPT / "package.json").read_text())
    versions = {**manifest["dependencies"], **manifest["devDependencies"]}
    assert all(version.replace(".", "").isdigit() for version in versions.values()), versions
    assert not (TYPESCRIPT / "package-lock.json").exists()
