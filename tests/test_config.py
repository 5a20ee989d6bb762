"""Configuration: read once, frozen, and every error names the field and how to mend it."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.config import ConfigurationError, load
from gateway.principal import Role
from signers import Algorithm

SERVER = 'certificate = "server.pem"\nprivate_key = "server.key"\nclient_ca = "ca.pem"\n'
MINIMAL = f'[server]\n{SERVER}[tokens]\nissuer = "https://id.example.org"\n'


@pytest.fixture
def write(tmp_path):
    """Writes the configuration file; text is added to the minimal one unless *whole*."""

    def written(text: str = "", *, whole: bool = False, server: str = "", tokens: str = "") -> Path:
        file = tmp_path / "countersign.toml"
        minimal = f'[server]\n{SERVER}{server}\n[tokens]\nissuer = "https://id.example.org"\n{tokens}\n'
        file.write_text(text if whole else minimal + text)
        return file

    return written


def fault(file: Path) -> str:
    """The message of what the file is refused with, without the file's own name."""
    with pytest.raises(ConfigurationError) as caught:
        load(file)
    return str(caught.value).replace(f"{file}: ", "")


def test_minimal(write, tmp_path):
    """The smallest file is enough, and the rest has safe defaults."""
    settings = load(write())
    assert settings.base_dir == tmp_path
    assert settings.tokens.algorithm is Algorithm.ES256
    assert settings.server.tls_address == "127.0.0.1:50051"
    assert settings.store.url == "sqlite:///countersign.db"
    assert settings.terminator.trusted == ()
    assert settings.tokens.assertion_audiences == ()
    assert Algorithm.RS256 not in settings.tokens.assertion_algorithms
    assert settings.callers == ()
    assert not settings.server.channelz


def test_frozen(write):
    """Nothing changes after it was read."""
    settings = load(write())
    with pytest.raises(ValidationError):
        settings.store.url = "sqlite:///other.db"


def test_relative_paths(write, tmp_path):
    """A relative path starts at the file's folder, an absolute one stays."""
    settings = load(write())
    assert settings.path(settings.server.certificate) == tmp_path / "server.pem"
    assert settings.path(Path("/etc/ca.pem")) == Path("/etc/ca.pem")


def test_relative_file_name(write, tmp_path, monkeypatch):
    """Paths do not depend on how the file was named on the command line."""
    write()
    monkeypatch.chdir(tmp_path)
    assert load(Path("countersign.toml")).base_dir == tmp_path


def test_environment_overrides(write, monkeypatch):
    """A variable replaces one field and leaves its neighbours alone."""
    monkeypatch.setenv("COUNTERSIGN_TOKENS__LIFETIME", "60")
    monkeypatch.setenv("COUNTERSIGN_STORE__URL", "postgresql://u@h/d")
    settings = load(write(tokens="lifetime = 30\nmax_lifetime = 90"))
    assert (settings.tokens.lifetime, settings.tokens.max_lifetime) == (60, 90)
    assert settings.tokens.issuer == "https://id.example.org"
    assert settings.store.url == "postgresql://u@h/d"


def test_environment_alone(write, monkeypatch):
    """A required field may come from the environment."""
    monkeypatch.setenv("COUNTERSIGN_TOKENS__ISSUER", "https://env.example.org")
    assert load(write(f"[server]\n{SERVER}", whole=True)).tokens.issuer == "https://env.example.org"


def test_environment_is_checked(write, monkeypatch):
    """A variable is held to the same rules, and its fault names the field."""
    monkeypatch.setenv("COUNTERSIGN_SERVER__WORKERS", "many")
    assert fault(write()).startswith("server.workers: ")


def test_unknown_variable(write, monkeypatch):
    """A misspelt variable of a section is refused like a misspelt field."""
    monkeypatch.setenv("COUNTERSIGN_STORE__ULR", "sqlite:///x.db")
    assert fault(write()).startswith("store.ulr: there is no such field")


def test_arguments_override(write):
    """What the command line says replaces the file's section."""
    assert load(write(), {"store": {"url": "sqlite:///x.db"}}).store.url == "sqlite:///x.db"


def test_missing_file(tmp_path):
    """A file that is not there is told with the option that names another."""
    assert (
        fault(tmp_path / "none.toml") == "cannot be read: No such file or directory. Name it with --config."
    )


@pytest.mark.parametrize("text", ["[server", "a = 'x", "\x00"])
def test_not_toml(write, text):
    """A file that is not TOML is told with the place of the fault."""
    assert fault(write(text, whole=True)).startswith("is not TOML: ")


def test_not_utf8(write):
    """A file that is not UTF-8 is not TOML."""
    file = write()
    file.write_bytes(b"\xff\xfe")
    assert fault(file).startswith("is not TOML: ")


def test_required_fields(write):
    """Every field that is missing is named at once, each with its variable."""
    lines = fault(write("", whole=True)).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["server", "tokens"]
    (line,) = fault(write("[tokens]\n[server]\n" + SERVER, whole=True)).splitlines()
    expected = "tokens.issuer: is required; set it in the file or as COUNTERSIGN_TOKENS__ISSUER."
    assert line == expected


def test_base_dir(write):
    """The folder of relative paths cannot be set."""
    assert fault(write('base_dir = "/"\n' + MINIMAL, whole=True)).startswith("base_dir: remove it")


UNKNOWN = [("[store]\nulr = 'x'", "store.ulr"), ("[stores]\nurl = 'x'", "stores"), ("[log]\nx = 1", "log.x")]


@pytest.mark.parametrize(("text", "field"), UNKNOWN)
def test_unknown_field(write, text, field):
    """A field that does not exist is refused by name, so that no misspelling passes for a setting."""
    assert fault(write(text)).startswith(f"{field}: there is no such field; check its spelling")


KEY = '[[keys]]\npurpose = "tokens"\nalgorithm = "ES256"\nuri = "file:a"\n'
WRONG = [
    ({"server": 'tls_address = "localhost"'}, "server.tls_address", "host:port"),
    ({"server": 'tls_address = ":50051"'}, "server.tls_address", "host:port"),
    ({"server": 'mtls_address = "127.0.0.1:65536"'}, "server.mtls_address", "host:port"),
    ({"server": 'mtls_address = "127.0.0.1:x"'}, "server.mtls_address", "host:port"),
    ({"server": "workers = 0"}, "server.workers", "greater than or equal to 1"),
    ({"server": 'workers = 2\ntls_address = "127.0.0.1:0"'}, "server", "workers = 1 only"),
    ({"server": 'workers = 2\nmtls_address = "127.0.0.1:0"'}, "server", "workers = 1 only"),
    ({"server": "max_message_bytes = 1"}, "server.max_message_bytes", "65536"),
    ({"server": "default_deadline = 0"}, "server.default_deadline", "greater than 0"),
    ({"tokens": "lifetime = 0"}, "tokens.lifetime", "greater than or equal to 1"),
    ({"tokens": "lifetime = 7200"}, "tokens", "exceeds max_lifetime"),
    ({"tokens": "clock_skew = 61"}, "tokens.clock_skew", "60"),
    ({"tokens": 'algorithm = "HS256"'}, "tokens.algorithm", "'ES256'"),
    ({"tokens": 'algorithm = "none"'}, "tokens.algorithm", "'ES256'"),
    ({"tokens": 'assertion_algorithms = ["none"]'}, "tokens.assertion_algorithms.0", "'ES256'"),
    ({"text": '[log]\nlevel = "TRACE"'}, "log.level", "'DEBUG'"),
    ({"text": "[store]\npool_size = 0"}, "store.pool_size", "1"),
    ({"text": '[terminator]\nformat = "x"'}, "terminator.format", "'rfc9440'"),
    ({"text": '[[keys]]\npurpose = "x"\nalgorithm = "ES256"\nuri = "file:a"'}, "keys.0.purpose", "'tokens'"),
    (
        {"text": KEY + 'public_key_sha256 = "0"'},
        "keys.0.public_key_sha256",
        "pattern",
    ),
    ({"text": '[[keys]]\npurpose = "tokens"\nalgorithm = "ES256"'}, "keys.0.uri", "is required"),
    ({"text": '[[callers]]\nroles = ["admin"]'}, "callers.0", "exactly one of"),
    (
        {"text": '[[callers]]\nsan_dns = "a"\nsan_uri = "b:c"\nroles = ["admin"]'},
        "callers.0",
        "exactly one of",
    ),
    ({"text": '[[callers]]\nsan_dns = "a"\nclient_id = "b"\nroles = []'}, "callers.0", "exactly one of"),
    ({"text": '[[callers]]\nsan_dns = "a"\nroles = ["root"]'}, "callers.0.roles.0", "'admin'"),
    ({"text": '[[callers]]\nsan_dns = "a"'}, "callers.0.roles", "is required"),
    (
        {"text": '[[callers]]\nsan_dns = "a"\nroles = ["admin"]\nresources = ["https://a"]'},
        "callers.0",
        "add the role",
    ),
]


@pytest.mark.parametrize(("written", "field", "remedy"), WRONG)
def test_value_wrong(write, written, field, remedy):
    """A value outside its range names its field and what would be right."""
    (line,) = fault(write(**written)).splitlines()
    assert line.startswith(f"{field}: ")
    assert remedy in line


@pytest.mark.parametrize(
    "issuer",
    ["http://id.example.org", "https://id.example.org/", "https://a?b", "https://a#b", "id.example.org", ""],
)
def test_issuer_wrong(write, issuer):
    """An issuer is an https URL without query, fragment or trailing slash (RFC 8414 §2)."""
    text = f'[server]\n{SERVER}[tokens]\nissuer = "{issuer}"\n'
    assert "RFC 8414 §2" in fault(write(text, whole=True))


def test_several_faults(write):
    """All faults are told together, one a line."""
    lines = fault(write("[log]\nx = 1\n[store]\npool_size = 0", server="workers = 0")).splitlines()
    assert len(lines) == 3


def test_values_are_not_repeated(write):
    """A fault does not print the value, which may be a secret in the wrong place."""
    assert "hunter2" not in fault(write('[store]\nurl = "sqlite:///a"\npassword = "hunter2"'))


def test_callers(write):
    """Callers come with their roles typed."""
    text = '[[callers]]\nsan_uri = "spiffe://a/b"\nroles = ["resource-server"]\nresources = ["https://a"]'
    (caller,) = load(write(text)).callers
    assert caller.roles == (Role.RESOURCE_SERVER,)
    assert caller.resources == ("https://a",)
