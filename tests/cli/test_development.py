"""What `countersign dev` makes of its verifier."""

import pytest

from gateway.cli import development
from gateway.cli.development import Addresses, DevelopmentKey, prepare
from gateway.config import load
from signers import Algorithm


def test_a_development_gateway_has_a_verifier_and_its_page(tmp_path):
    """The file has a verifier with keys of its own, the test door for this machine, and the page."""
    settings = load(prepare(tmp_path / "var", DevelopmentKey(), Addresses()))

    assert [verifier.name for verifier in settings.verifiers] == ["demo"]
    assert settings.presentations.demo_page
    assert settings.presentations.loopback_names == ("localhost",)
    assert [str(key.purpose) for key in settings.keys] == [
        "tokens",
        "presentation-requests",
        "linked-domains",
    ]


def test_without_the_extra_there_is_no_verifier(tmp_path, monkeypatch):
    """A gateway that cannot verify presentations starts without a verifier, and without its page."""
    monkeypatch.setattr(development, "find_spec", lambda name: None if name == "re2" else object())

    settings = load(prepare(tmp_path / "var", DevelopmentKey(), Addresses()))

    assert settings.verifiers == ()
    assert not settings.presentations.demo_page
    assert [str(key.purpose) for key in settings.keys] == ["tokens"]


@pytest.mark.parametrize(
    ("algorithm", "of_verifier"),
    [(Algorithm.EDDSA, Algorithm.EDDSA), (Algorithm.RS256, Algorithm.ES256)],
)
def test_the_verifier_signs_with_what_a_did_may_use(tmp_path, algorithm, of_verifier):
    """The verifier's keys are of the algorithm of tokens, or of ES256 where no DID may use that."""
    settings = load(prepare(tmp_path / "var", DevelopmentKey(algorithm=algorithm), Addresses()))

    assert settings.presentations.algorithm is of_verifier
    assert [key.algorithm for key in settings.keys] == [algorithm, of_verifier, of_verifier]
