"""The command line, as an operator uses it."""

import re
import shutil
import signal

import pytest
from cryptography import x509

from tests.support.development import countersign, development_gateway


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A development folder with everything made and nothing running."""
    folder = tmp_path_factory.mktemp("dev") / "var"
    assert countersign("dev", "--dir", folder, "--prepare-only").returncode == 0
    return folder


@pytest.fixture
def config(prepared, tmp_path):
    """A copy of the prepared folder that the test may break."""
    folder = tmp_path / "var"
    shutil.copytree(prepared, folder)
    return folder / "countersign.toml"


def test_preparing_twice_changes_nothing(prepared):
    """A second start keeps the CA, the keys, the clients and the configuration."""
    before = {path: path.read_bytes() for path in prepared.glob("*.pem")}

    assert countersign("dev", "--dir", prepared, "--prepare-only").returncode == 0

    assert before == {path: path.read_bytes() for path in prepared.glob("*.pem")}


def test_private_files_are_private(prepared):
    """Nobody but the owner can read a private key or the database."""
    for path in [*prepared.glob("*-key.pem"), *prepared.glob("keys/*"), *prepared.glob("*.db")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_doctor_finds_nothing_wrong(config):
    """On a sound installation every line is ok and the status is 0."""
    ran = countersign("doctor", "--config", config)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert {"ok"} == {line.split()[0] for line in ran.stdout.splitlines()}


def break_nothing_but(config, file, change):
    path = config.parent / file
    path.write_bytes(change(path.read_bytes()))


BROKEN = {
    "a field that does not exist": (
        "countersign.toml",
        lambda text: text.replace(b"[store]", b"[store]\ncolour = 1"),
        "store.colour: there is no such field",
    ),
    "a required field is missing": (
        "countersign.toml",
        lambda text: re.sub(rb"issuer = .*", b"", text),
        "tokens.issuer: is required; set it in the file or as COUNTERSIGN_TOKENS__ISSUER",
    ),
    "no TOML": ("countersign.toml", lambda _: b"[server", "is not TOML"),
    "a key file that is gone": (
        "countersign.toml",
        lambda text: text.replace(b"keys/tokens.pem", b"keys/none.pem"),
        "FAIL  key for tokens (ES256)",
    ),
    "a key of another algorithm": (
        "countersign.toml",
        lambda text: text.replace(b'algorithm = "ES256"', b'algorithm = "ES384"'),
        "FAIL  key for tokens (ES384)",
    ),
    "a certificate that is none": ("server.pem", lambda _: b"nothing", "FAIL  server certificate"),
    "roots that are none": ("ca.pem", lambda _: b"nothing", "FAIL  client roots"),
    "a database that is none": (
        "countersign.db",
        lambda _: b"nothing of a database" * 100,
        "FAIL  database",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_doctor_names_what_is_wrong(config, fault):
    """Each fault is named, with what to do, and the status is 1."""
    file, change, said = BROKEN[fault]
    break_nothing_but(config, file, change)

    ran = countersign("doctor", "--config", config)

    assert ran.returncode == 1, ran.stdout
    assert said in ran.stdout


def test_doctor_says_how_to_close_a_key_that_others_can_read(config):
    """A key file with open permissions is refused, with the command that mends it."""
    (config.parent / "keys" / "tokens.pem").chmod(0o644)

    ran = countersign("doctor", "--config", config)

    assert ran.returncode == 1
    assert "chmod 600" in ran.stdout


@pytest.mark.parametrize(
    "fault", ["a required field is missing", "a key file that is gone", "roots that are none"]
)
def test_serve_does_not_start_with_what_doctor_refuses(config, fault):
    """A fault stops the start with a sentence, no traceback and status 1."""
    file, change, _ = BROKEN[fault]
    break_nothing_but(config, file, change)

    ran = countersign("serve", "--config", config)

    assert ran.returncode == 1
    assert "Traceback" not in ran.stdout + ran.stderr


def test_keys_are_listed_created_rotated_checked_and_disabled(config):
    """A key's life on the command line: prepared, too young to sign, checked, disabled."""
    created = countersign(
        "keys", "--config", config, "create", "--purpose", "tokens", "--algorithm", "ES256",
        "--uri", "file:keys/next.pem",
    )  # fmt: skip
    assert created.returncode == 0, created.stderr
    key = created.stdout.split()[0]
    early = countersign("keys", "--config", config, "rotate", "--purpose", "tokens", "--algorithm", "ES256")
    checked = countersign("keys", "--config", config, "check", key)
    disabled = countersign("keys", "--config", config, "disable", key, "--reason", "a test")
    listed = countersign("keys", "--config", config, "list")

    assert "prepared" in created.stdout
    assert (early.returncode, "published too recently" in early.stderr) == (1, True)
    assert "signs, and its signature verifies" in checked.stdout
    assert "disabled" in disabled.stdout
    rows = [line for line in listed.stdout.splitlines()[1:] if not line.startswith(" ")]
    assert len(rows) == 4
    assert "disabled because: a test" in listed.stdout


def test_clients_are_shown_disabled_enabled_and_deleted(config):
    """A client's life on the command line."""

    def clients(*arguments):
        return countersign("clients", "--config", config, *arguments)

    assert "orders-backend" in clients("list").stdout
    assert "san_uri spiffe://countersign.test/orders-backend" in clients("show", "orders-backend").stdout
    assert "disabled" in clients("disable", "orders-backend").stdout
    assert "enabled" in clients("enable", "orders-backend").stdout
    assert clients("delete", "orders-backend").returncode == 0
    gone = clients("show", "orders-backend")

    assert (gone.returncode, "CLIENT_NOT_FOUND" in gone.stderr) == (1, True)


def test_a_database_at_no_revision_is_refused_without_migrate(config):
    """`serve` does not touch a database that it was not told to migrate."""
    for path in config.parent.glob("countersign.db*"):
        path.unlink()

    ran = countersign("serve", "--config", config)

    assert ran.returncode == 1
    assert "--migrate" in ran.stdout + ran.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_status_0(tmp_path, number):
    """SIGTERM and SIGINT drain and exit with 0."""
    with development_gateway(tmp_path / "var") as gateway:
        gateway.process.send_signal(number)

        assert gateway.process.wait(30) == 0


def keys(config, *arguments):
    """`countersign keys`, which must succeed; what it printed."""
    ran = countersign("keys", "--config", config, *arguments)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def delegating_key(config) -> str:
    """A key of purpose delegation; its id."""
    made = keys(
        config, "create", "--purpose", "delegation", "--algorithm", "ES384", "--uri", "file:keys/root.pem"
    )
    assert "active" in made
    return made.split()[0]


def test_a_certificate_is_requested_and_imported(config, tmp_path):
    """A request to have signed elsewhere, or a certificate by the key itself; both for its own key only."""
    root = delegating_key(config)
    request = x509.load_pem_x509_csr(
        keys(config, "request-cert", root, "--subject", "CN=Signing root,O=Example").encode()
    )
    assert request.subject.rfc4514_string() == "CN=Signing root,O=Example"
    assert request.is_signature_valid
    file = tmp_path / "root.pem"
    file.write_text(keys(config, "request-cert", root, "--subject", "CN=Signing root", "--self-signed", "30"))
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    assert certificate.public_key() == request.public_key()
    assert "published with 1 certificate" in keys(config, "import-cert", root, file)
    assert "published with 1 certificate" in keys(config, "list")

    other = keys(config, "list").splitlines()[1].split()[0]
    refused = countersign("keys", "--config", config, "import-cert", other, file)
    assert (refused.returncode, "is for another key" in refused.stderr) == (1, True)
    missing = countersign("keys", "--config", config, "import-cert", root, tmp_path / "none.pem")
    assert (missing.returncode, "cannot be read" in missing.stderr) == (1, True)
    wrong = countersign("keys", "--config", config, "request-cert", root, "--subject", "nonsense")
    assert (wrong.returncode, "No certificate can be made" in wrong.stderr) == (1, True)


def test_every_key_is_checked(config):
    """Without an id all that sign are; one that does not is explained, and the status is 1."""
    delegating_key(config)
    rows = [line for line in keys(config, "list").splitlines()[1:] if not line.startswith(" ")]
    assert keys(config, "check").count("signs, and its signature verifies") == len(rows)
    (config.parent / "keys" / "root.pem").unlink()
    ran = countersign("keys", "--config", config, "check")
    assert ran.returncode == 1
    assert "no key is where its URI points -> create it" in ran.stdout


def test_doctor_looks_at_registered_keys(config):
    """A key that only the database knows is opened too, and one that is gone is named."""
    delegating_key(config)
    ran = countersign("doctor", "--config", config)
    assert (ran.returncode, "registered key for delegation (ES384" in ran.stdout) == (0, True)
    (config.parent / "keys" / "root.pem").unlink()
    ran = countersign("doctor", "--config", config)
    assert ran.returncode == 1
    assert "FAIL  registered key for delegation (ES384" in ran.stdout


def test_doctor_says_what_delegation_lacks(config, tmp_path):
    """First the key, then its certificate, then nothing."""
    with config.open("a") as text:
        text.write(
            '\n[[rotations]]\npurpose = "tokens"\nalgorithm = "ES256"\nperiod = 86400\ndelegated = true\n'
            'uri = "file:keys/delegated-{after}.pem"\n'
        )
    ran = countersign("doctor", "--config", config)
    assert (ran.returncode, "delegating key: none is active" in ran.stdout) == (1, True)
    root = delegating_key(config)
    ran = countersign("doctor", "--config", config)
    assert (ran.returncode, "delegating key: has no certificate" in ran.stdout) == (1, True)
    file = tmp_path / "root.pem"
    file.write_text(keys(config, "request-cert", root, "--subject", "CN=Root", "--self-signed", "10"))
    keys(config, "import-cert", root, file)
    ran = countersign("doctor", "--config", config)
    assert ran.returncode == 0, ran.stdout
    assert "has its certificate" in ran.stdout
    assert "warn  certificate of key for delegation" in ran.stdout
    assert "expires in 10 days" in ran.stdout


def test_an_intermediate_ca_is_delegated_and_shown(config, tmp_path):
    """Created under the delegating key; its chain is what a provisioner is given. Others show none."""
    root = delegating_key(config)
    bare = countersign("keys", "--config", config, "show-cert", root)
    assert (bare.returncode, "has no certificate" in bare.stderr) == (1, True)
    file = tmp_path / "root.pem"
    file.write_text(keys(config, "request-cert", root, "--subject", "CN=Root", "--self-signed", "3650"))
    keys(config, "import-cert", root, file)
    made = keys(
        config, "create", "--purpose", "certificates", "--algorithm", "ES256", "--uri", "file:keys/ca.pem",
        "--delegated-for", "90",
    )  # fmt: skip
    assert f"delegated by {root}" in made
    assert "CA with the key identifier" in made
    chain = x509.load_pem_x509_certificates(keys(config, "show-cert", made.split()[0]).encode())
    chain[0].verify_directly_issued_by(chain[1])


@pytest.mark.parametrize(
    "action", [["check"], ["show-cert"], ["disable", "--reason", "why"]], ids=lambda a: a[0]
)
def test_a_key_id_may_begin_with_a_hyphen(config, action):
    """One thumbprint of 64 does; it is no option."""
    unknown = "-" + "a" * 42
    refused = countersign("keys", "--config", config, *action, unknown)
    assert (refused.returncode, "KEY_NOT_FOUND" in refused.stderr) == (1, True)
