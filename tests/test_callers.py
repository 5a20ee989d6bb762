"""Principals by certificate: what is remembered, and for how long."""

import time

import pytest

from gateway import callers
from gateway.callers import REFUSAL_LIFETIME, CallerDirectory, CertificatePrincipals, Grant
from gateway.client_roots import ClientRoots
from gateway.pki import PkiError
from gateway.principal import ANONYMOUS, Role
from gateway.proofs.client_certificate import ClientCertificate
from gateway.settings.callers import CallerSettings
from tests.support.pki import Authority

ROOT = Authority.root()
ALICE = ROOT.leaf("alice")


class Clock:
    """A clock that a test sets."""

    def __init__(self):
        self.now = time.time()

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    """The clock of the principals."""
    return Clock()


@pytest.fixture
def roots():
    """The roots of the principals."""
    return ClientRoots(ROOT.pem)


@pytest.fixture
def principals(clock, roots):
    """Principals of a directory that knows alice."""
    directory = CallerDirectory([CallerSettings(subject_dn="CN=alice", roles=(Role.CLIENT,))])
    return CertificatePrincipals(roots=roots, directory=directory, clock=clock)


def test_a_principal_ends_with_its_certificate(principals, clock):
    """A certificate that expires while its connection lives gives no principal from then on."""
    certificate = ClientCertificate.from_pem(ALICE.pem)
    assert principals.principal(certificate).name == "CN=alice"
    clock.now = ALICE.certificate.not_valid_after_utc.timestamp()
    assert principals.principal(certificate).name == "CN=alice"
    clock.now += 1
    assert principals.principal(certificate) is ANONYMOUS


def test_other_roots_count_at_once(principals, roots):
    """When the roots are exchanged, what was remembered of a certificate counts no more."""
    certificate = ClientCertificate.from_pem(ALICE.pem)
    assert principals.principal(certificate) is not ANONYMOUS
    roots.replace(Authority.root("Other").pem)
    assert principals.principal(certificate) is ANONYMOUS
    roots.replace(ROOT.pem)
    assert principals.principal(certificate).roles == {Role.CLIENT}


def test_a_refusal_is_remembered_for_a_while(principals, clock):
    """A certificate that was not valid yet is not asked about again at once, and is in the end."""
    certificate = ClientCertificate.from_pem(ALICE.pem)
    valid_from = ALICE.certificate.not_valid_before_utc.timestamp()
    clock.now = valid_from - 1
    assert principals.principal(certificate) is ANONYMOUS
    clock.now = valid_from + 1
    assert principals.principal(certificate) is ANONYMOUS
    clock.now = valid_from - 1 + REFUSAL_LIFETIME
    assert principals.principal(certificate).name == "CN=alice"


def test_the_same_leaf_with_its_intermediates_is_asked_about_again(principals):
    """A refusal for want of an intermediate does not hold where the intermediate is presented."""
    leaf = ROOT.intermediate().leaf("alice")
    assert principals.principal(ClientCertificate.from_pem(leaf.pem)) is ANONYMOUS
    assert principals.principal(ClientCertificate.from_pem(leaf.chain_pem)).name == "CN=alice"
    assert principals.principal(ClientCertificate.from_pem(leaf.pem)) is ANONYMOUS


def test_what_is_remembered_is_bounded(principals, monkeypatch):
    """However many certificates are presented, only so many are kept."""
    monkeypatch.setattr(callers, "CACHE_ENTRIES", 2)
    for number in range(4):
        principals.principal(ClientCertificate.from_pem(ROOT.leaf(f"device-{number}").pem))
    assert len(principals._known) == 2


def test_a_certificate_without_any_name_is_named_by_its_thumbprint(principals):
    """A verified caller is never nameless."""
    certificate = ClientCertificate.from_pem(ROOT.leaf(dns=("a.example.org",)).pem)
    assert principals.principal(certificate).name == f"x5t#S256:{certificate.x5t_s256}"


def test_all_entries_of_a_caller_are_united():
    """Several entries for one certificate, or one client, add up."""
    directory = CallerDirectory(
        [
            CallerSettings(subject_dn="CN=alice", roles=(Role.CLIENT,)),
            CallerSettings(san_dns="a.example.org", roles=(Role.RESOURCE_SERVER,), resources=("https://a",)),
            CallerSettings(san_dns="b.example.org", roles=(Role.ADMIN,)),
            CallerSettings(client_id="c", roles=(Role.CLIENT,)),
            CallerSettings(client_id="c", roles=(Role.VERIFIER,)),
        ]
    )
    leaf = ROOT.leaf("alice", dns=("a.example.org",)).certificate
    assert directory.of_certificate(leaf) == Grant(
        frozenset({Role.CLIENT, Role.RESOURCE_SERVER}), frozenset({"https://a"})
    )
    assert directory.of_client("c").roles == {Role.CLIENT, Role.VERIFIER}
    assert directory.of_client("d") == Grant()


def test_an_entry_that_cannot_be_read_stops_the_start():
    """A misspelled name would silently match nobody: it is refused."""
    with pytest.raises(PkiError, match="invalid_identity"):
        CallerDirectory([CallerSettings(san_ip="not an address", roles=(Role.ADMIN,))])


def test_roots_that_cannot_be_read_change_nothing(roots):
    """Exchanging the roots for something broken leaves those in use."""
    with pytest.raises(PkiError, match="invalid_root"):
        roots.replace(b"no PEM")
    roots.verify(ClientCertificate.from_pem(ALICE.pem), time.time())
    assert roots.generation == 0
