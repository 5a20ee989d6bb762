"""Clients that publish their keys in networks of the operator's own: only at hosts that he names."""

import pytest
from countersign import CountersignError, PrivateKeyJwtAuth

from gateway.config import ConfigurationError, load
from gateway.fetching import GuardedClient, parse_inner_network
from gateway.wiring.client_keys import client_keys
from tests.support.edge import register
from tests.support.gateway import prepare, running_gateway

INNER = {"hosts": ["keys.corp.internal"], "networks": ["10.1.0.0/16"]}


async def options_for(folder, **section):
    """The options of the fetcher that the configuration makes."""
    prepared = await prepare(folder, client_keys=section)
    given = {}

    def client(**options):
        given.update(options)
        return GuardedClient(None, **options)

    client_keys(prepared.settings, client, lambda: 0.0)
    return given


async def test_none_by_default(tmp_path):
    """Without the section every host must have a public address."""
    assert (await options_for(tmp_path))["inner_hosts"] == {}


async def test_the_hosts_that_are_named(tmp_path):
    """They and no others may be in the networks that are named."""
    (tmp_path / "ca.pem").write_text("")
    given = await options_for(tmp_path, **INNER)
    assert given["inner_hosts"] == {"keys.corp.internal": [parse_inner_network("10.1.0.0/16")]}


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"hosts": ["keys.corp"]}, "hosts and networks go together"),
        ({"networks": ["10.0.0.0/8"]}, "hosts and networks go together"),
        ({"hosts": ["keys.corp"], "networks": ["192.0.2.0/24"]}, "not within a private network"),
        ({"ca": "ca.pem"}, "ca is for hosts"),
        ({**INNER, "ca": "none.pem"}, "client_keys.ca: "),
        ({**INNER, "ca": "empty.pem"}, "holds no certificate"),
    ],
)
async def test_refused(tmp_path, section, message):
    """Each fault stops the start and says what to mend."""
    (tmp_path / "empty.pem").write_text("nothing\n")
    with pytest.raises(ConfigurationError) as caught:
        await options_for(tmp_path, **section)
    assert message in str(caught.value)


@pytest.mark.parametrize(("hosts", "accepted"), [((), False), (("keys",), True)])
async def test_registration(tmp_path, hosts, accepted):
    """A name that the Internet does not serve can be registered where configuration spells it out."""
    section = {"hosts": list(hosts), "networks": ["10.1.0.0/16"]} if hosts else {}
    known = PrivateKeyJwtAuth(jwks_uri="https://keys/jwks")
    async with (
        running_gateway(tmp_path, client_keys=section) as gateway,
        gateway.client(gateway.admin) as admin,
    ):
        if accepted:
            await register(admin, "inner", known)
        else:
            with pytest.raises(CountersignError, match="cannot be used"):
                await register(admin, "inner", known)
    assert load(gateway.prepared.folder / "countersign.toml").client_keys.hosts == hosts
