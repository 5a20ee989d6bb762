"""The client in Go: formatted, vetted, tested against a scripted gateway."""

from tests.support.client_languages import GO, succeed


def test_formatted():
    """It is formatted as gofmt does it."""
    assert succeed(GO, "gofmt", "-l", ".") == ""


def test_vetted():
    """The vetting of Go finds nothing."""
    succeed(GO, "go", "vet", "./...")


def test_modules_are_tidy():
    """go.mod and go.sum name what is used and no more, for the client and for its generators."""
    succeed(GO, "go", "mod", "tidy", "-diff")
    succeed(GO / "tools", "go", "mod", "tidy", "-diff")


def test_own_tests():
    """Its own tests pass, and there are some."""
    assert "ok  \tcountersign.test/clients/go\t" in succeed(GO, "go", "test", "./...")
