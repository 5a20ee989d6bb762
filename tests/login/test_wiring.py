"""The upstream provider in the configuration, and what is refused there before anybody logs in."""

from pathlib import Path
from typing import Any

import pytest

from gateway.application import load_roots, open_application
from gateway.config import ConfigurationError
from tests.support.gateway import prepare

ISSUER = "https://idp.example.org"
UPSTREAM = {"issuer": ISSUER, "client_id": "gateway"}


async def fault(folder: Path, **sections: Any) -> str:
    """Why the application does not open with these sections."""
    with pytest.raises(ConfigurationError) as caught:
        await opened(folder, **sections)
    return str(caught.value)


async def opened(folder: Path, **sections: Any) -> bool:
    """Open the application with these sections; whether it has logins."""
    prepared = await prepare(folder, **sections)
    async with open_application(prepared.settings, load_roots(prepared.settings)) as application:
        return application.login is not None


FAULTS = {
    "half of it": ({"issuer": ISSUER}, "issuer and client_id go together"),
    "the other half": ({"client_id": "gateway"}, "issuer and client_id go together"),
    "a secret alone": ({"client_secret_file": "x"}, "client_secret_file goes with issuer"),
    "plain HTTP": ({**UPSTREAM, "issuer": "http://idp.example.org"}, "https URL"),
    "a query": ({**UPSTREAM, "issuer": f"{ISSUER}?x"}, "https URL"),
    "an address": ({**UPSTREAM, "issuer": "https://192.0.2.1"}, "upstream: "),
    "a bad port": ({**UPSTREAM, "issuer": f"{ISSUER}:99999"}, "upstream: "),
    "no prefix": ({**UPSTREAM, "subject_prefix": ""}, "as a client"),
    "a prefix of a client": ({**UPSTREAM, "subject_prefix": "user-"}, "as a client"),
    "a prefix of control characters": ({**UPSTREAM, "subject_prefix": "user:\u0007"}, "as a client"),
    "a public network": ({**UPSTREAM, "networks": ["192.0.2.0/24"]}, "not within a private network"),
    "no network": ({**UPSTREAM, "networks": ["x"]}, "networks"),
    "roots without a network": ({**UPSTREAM, "ca": "ca.pem"}, "name them"),
    "no file of roots": ({**UPSTREAM, "networks": ["10.0.0.0/8"], "ca": "none.pem"}, "upstream.ca"),
    "no secret file": ({**UPSTREAM, "client_secret_file": "none"}, "upstream.client_secret_file"),
    "an empty secret": ({**UPSTREAM, "client_secret_file": "empty"}, "is empty"),
    "an unknown field": ({**UPSTREAM, "secret": "x"}, "there is no such field"),
}


@pytest.mark.parametrize("case", FAULTS)
async def test_refused(tmp_path, case):
    """Each fault stops the start and says what to mend."""
    upstream, message = FAULTS[case]
    (tmp_path / "empty").write_text("\n")
    assert message in await fault(tmp_path, upstream=upstream)


async def test_one_authorization_endpoint(tmp_path):
    """A login application and a provider exclude each other; browsers need the edge."""
    page = {"authorization_url": "https://login.example.org/authorize"}
    assert "at one of the two" in await fault(tmp_path, upstream=UPSTREAM, edge=page)
    assert "https_address" in await fault(tmp_path, upstream=UPSTREAM, server={"https_address": ""})


async def test_off_and_on(tmp_path):
    """Without the section there is no use case; with it there is, for a provider in a private network too."""
    assert not await opened(tmp_path)
    (tmp_path / "roots.pem").write_bytes((tmp_path / "client-ca.pem").read_bytes())
    (tmp_path / "secret").write_text("x\n")
    upstream = {
        **UPSTREAM,
        "client_secret_file": "secret",
        "networks": ["10.0.0.0/8"],
        "ca": "roots.pem",
    }
    assert await opened(tmp_path, upstream=upstream)
