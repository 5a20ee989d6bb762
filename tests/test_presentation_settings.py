"""The configuration of presentations: what it refuses, and what comes of it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.clock import system_clock
from gateway.config import ConfigurationError, Settings
from gateway.dids import DidError, DidFault, did_jwk
from gateway.keys.keyring import Keyring
from gateway.presentations.status import OnUnknown
from gateway.presentations.verifier import LinkageRule
from gateway.settings.presentations import PresentationSettings, VerifierSettings
from gateway.store import open_store
from gateway.wiring.presentation_extra import presentations_if_configured
from signers import Algorithm
from tests.support.dids import NoDns, TestSigner

ISSUER = "did:web:issuer.example.org"
KEY = TestSigner(Algorithm.ES256)


def verifier(**changes: Any) -> VerifierSettings:
    """A verifier's section."""
    return VerifierSettings(**({"name": "employees", "trusted_issuers": (ISSUER,)} | changes))


def settings(folder: Path, presentations: dict[str, Any] | None = None, *verifiers: Any) -> Settings:
    """A configuration around these sections; nothing of it is opened."""
    return Settings(
        base_dir=folder,
        server={"certificate": "c", "private_key": "k", "client_ca": "a"},
        tokens={"issuer": "https://id.example.org:8443"},
        presentations=presentations or {},
        verifiers=verifiers or (verifier(),),
    )


async def opened(folder: Path, *arguments: Any) -> Any:
    """What comes of such a configuration, closed again."""
    async with (
        open_store(f"sqlite:///{folder}/state.db", migrate=True) as store,
        presentations_if_configured(
            settings(folder, *arguments), store, Keyring(), NoDns(), clock=system_clock
        ) as presentations,
    ):
        return presentations


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "Employees"},
        {"name": ""},
        {"trusted_issuers": ()},
        {"trusted_issuers": ("*", ISSUER)},
        {"trusted_issuers": ("https://issuer.example.org",)},
        {"did_methods": ("ethr",)},
        {"did_methods": ()},
        {"algorithms": ("ES512",)},
        {"algorithms": ()},
        {"issuer_linkage": "maybe"},
        {"status_unavailable": "ignore"},
        {"status_list_issuers": {"x": ("y",)}},
        {"response_origins": ("http://app.example.org",)},
        {"response_origins": ("https://app.example.org/path",)},
        {"logo_uri": "javascript:alert(1)"},
        {"client_name": ""},
        {"max_age": 9},
        {"clock_skew": 301},
        {"unknown": 1},
    ],
)
def test_a_verifier_that_cannot_be(changes):
    """Each field is held to its values when the configuration is read."""
    with pytest.raises(ValidationError):
        verifier(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"did": "verifier.example.org"},
        {"algorithm": "PS256"},
        {"origins": ("verifier.example.org",)},
        {"request_lifetime": 5},
        {"ion_state": "require_node"},
        {"ion_node": "http://node.example.org"},
        {"loopback_names": ("localhost",)},
        {"loopback_ca": "root.pem"},
        {"ports": ()},
        {"ports": (0,)},
    ],
)
def test_a_section_that_cannot_be(changes):
    """As above, for what all verifiers share."""
    with pytest.raises(ValidationError):
        PresentationSettings(**changes)


def test_what_is_strict_by_default():
    """No door, no node, no compatibility switch; issuers' keys assert; an unknown status fails."""
    shared, one = PresentationSettings(), verifier()
    assert not shared.unsafe_non_canonical_ion
    assert not shared.ion_test_network
    assert (shared.ion_node, shared.loopback_ca, shared.loopback_names) == (None, None, ())
    assert one.require_assertion_method
    assert not one.equivalent_holder
    assert (one.status_unavailable, one.issuer_linkage) == ("fail", "if_declared")


async def test_two_verifiers_of_one_name_stop_the_start(tmp_path):
    """A name says which policy is meant."""
    with pytest.raises(ConfigurationError, match="two have one name"):
        await opened(tmp_path, None, verifier(), verifier())


async def test_the_policy_is_the_configured_one(tmp_path):
    """Every field of the section arrives in the rules."""
    presentations = await opened(
        tmp_path,
        None,
        verifier(
            algorithms=("ES384",),
            did_methods=("jwk",),
            require_assertion_method=False,
            equivalent_holder=True,
            issuer_linkage="required",
            status_required=True,
            status_unavailable="accept",
            status_max_age=60,
            status_list_issuers={ISSUER: ("did:web:lists.example.org",)},
            max_age=11,
            max_lifetime=61,
            clock_skew=3,
            callers=("me",),
        ),
    )
    one = presentations.verifiers.by_name["employees"]
    policy = one.policy
    assert one.callers == frozenset({"me"})
    assert policy.trusted_issuers == frozenset({ISSUER})
    assert (policy.algorithms, policy.did_methods) == ({Algorithm.ES384}, {"jwk"})
    assert (policy.require_assertion_method, policy.equivalent_holder) == (False, True)
    assert policy.issuer_linkage is LinkageRule.REQUIRED
    assert (policy.max_age, policy.max_lifetime, policy.clock_skew) == (11, 61, 3)
    assert policy.status.required
    assert policy.status.on_unknown is OnUnknown.ACCEPT
    assert policy.status.max_age == 60
    assert policy.status.may_issue_lists("did:web:lists.example.org", ISSUER)


async def test_any_issuer_is_written_out(tmp_path):
    """Nothing but a star alone accepts everybody."""
    presentations = await opened(tmp_path, None, verifier(trusted_issuers=("*",)))
    assert presentations.verifiers.by_name["employees"].policy.trusted_issuers is None


async def test_our_did_is_that_of_the_edge(tmp_path):
    """Without another one it is the did:web of the public URL, its port escaped."""
    presentations = await opened(tmp_path)
    assert presentations.own_did.did.text == "did:web:id.example.org%3A8443"
    assert presentations.verifiers.by_name["employees"].client_id == presentations.own_did.did.text


async def test_our_did_can_be_a_key(tmp_path):
    """A DID that says itself what it holds is resolved at the start."""
    did = did_jwk(KEY.public_key)
    presentations = await opened(tmp_path, {"did": did})
    assert presentations.own_did.document().id.text == did


@pytest.mark.parametrize(
    ("ports", "fault"), [((443,), DidFault.TARGET_REFUSED), ((443, 8443), DidFault.UNREACHABLE)]
)
async def test_a_port_is_for_who_configured_it(tmp_path, ports, fault):
    """A did:web on another port is refused before its name is looked up, unless the port is listed."""
    configured = settings(tmp_path, {"ports": ports})
    async with (
        open_store(f"sqlite:///{tmp_path}/state.db", migrate=True) as store,
        presentations_if_configured(
            configured, store, Keyring(), NoDns(), clock=system_clock
        ) as presentations,
    ):
        with pytest.raises(DidError) as caught:
            await presentations.verifier._resolver.resolve("did:web:issuer.example.org%3A8443")
    assert caught.value.fault is fault


@pytest.mark.parametrize(
    ("presentations", "field"),
    [
        ({"did": "did:jwk:nothing"}, "presentations.did"),
        ({"loopback_names": ("localhost",), "loopback_ca": "missing.pem"}, "presentations.loopback_ca"),
        (
            {"ion_node": "https://node.example.org", "ion_networks": ("8.8.8.0/24",)},
            "presentations.ion_node",
        ),
    ],
)
async def test_what_stops_the_start(tmp_path, presentations, field):
    """The message names the field and what to do."""
    with pytest.raises(ConfigurationError, match=field):
        await opened(tmp_path, presentations)


async def test_without_verifiers_there_is_nothing(tmp_path):
    """No use cases, and nothing of the extra is imported for them."""
    without = settings(tmp_path).model_copy(update={"verifiers": ()})
    async with (
        open_store(f"sqlite:///{tmp_path}/state.db", migrate=True) as store,
        presentations_if_configured(without, store, Keyring(), NoDns(), clock=system_clock) as nothing,
    ):
        assert nothing is None


@pytest.mark.parametrize(
    ("verifiers", "told"),
    [("()", "nothing"), ("(1,)", "countersign-gateway[presentations]")],
)
def test_without_the_extra(verifiers, told):
    """The gateway starts while no verifier is configured; else the message says what to install."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRA.format(verifiers=verifiers)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told in done.stdout, done.stderr


WITHOUT_EXTRA = """
import asyncio, sys, types
for name in ("re2", "segno", "jsonschema", "jsonpath"):
    sys.modules[name] = None
import gateway.server
from gateway.config import ConfigurationError
from gateway.wiring.presentation_extra import presentations_if_configured

async def main():
    settings = types.SimpleNamespace(verifiers={verifiers})
    try:
        async with presentations_if_configured(settings, None, None, None, clock=None):
            print("nothing")
    except ConfigurationError as error:
        print(error)

asyncio.run(main())
"""
