"""The verifier page of `countersign dev`, in a headless Chromium, with a wallet beside it."""

import ssl
import subprocess
import sys

import httpx
import pytest
from selenium.common.exceptions import JavascriptException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from gateway.edge.presentation_page import COOKIE
from tests.support.browser import browser
from tests.support.development import ROOT, development_gateway
from tests.support.edge import free_ports

PATIENCE = 20


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """A development gateway whose edge has a known address."""
    (port,) = free_ports(1)
    folder = tmp_path_factory.mktemp("page") / "var"
    with development_gateway(folder, "--https-address", f"127.0.0.1:{port}") as running:
        yield running, f"https://localhost:{port}"


@pytest.fixture(scope="module")
def chromium(gateway, tmp_path_factory):
    """A browser that trusts the gateway's certificate."""
    with browser(tmp_path_factory.mktemp("chromium"), gateway[0].folder / "server.pem") as chrome:
        yield chrome


@pytest.fixture
def page(gateway, chromium):
    """The page, just opened."""
    chromium.get(f"{gateway[1]}/demo/verifier")
    yield chromium
    problems = [entry for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"]
    assert problems == []


def http(gateway):
    """A client that is no browser, and trusts the development CA."""
    context = ssl.create_default_context(cafile=gateway[0].folder / "ca.pem")
    return httpx.Client(verify=context, trust_env=False, base_url=gateway[1])


def wallet(gateway, uri, *options):
    """Present to *uri* with the wallet of the test tools."""
    command = [
        sys.executable,
        "-m",
        "tests.support.wallet_program",
        "--dir",
        str(gateway[0].folder),
        *options,
    ]
    return subprocess.run([*command, uri], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def asked(page):
    """Ask, and return what the QR code says."""
    page.find_element(By.CSS_SELECTOR, "form button").click()
    state(page, "created")
    return page.find_element(By.ID, "link").get_attribute("href")


def state(page, name):
    """Wait until the page shows the request in state *name*."""
    WebDriverWait(page, PATIENCE).until(
        lambda _: page.find_element(By.ID, "request").get_attribute("data-state") == name,
        f"the page does not show {name}",
    )


def rows(page):
    """The outcome and the code of every check that is shown."""
    found = page.find_elements(By.CSS_SELECTOR, "#checks tr")
    return [
        tuple(cell.text for cell in row.find_elements(By.TAG_NAME, "td")[:2])
        for row in found
        if row.is_displayed()
    ]


def text(page, element):
    return page.find_element(By.ID, element).text


def test_a_presentation_is_followed_to_its_report(gateway, page):
    """The page shows the code, each state without being reloaded, the credential, and every check."""
    uri = asked(page)
    assert uri.startswith("openid-vc://?request_uri=https")
    image = page.find_element(By.ID, "qr")
    WebDriverWait(page, PATIENCE).until(lambda _: int(image.get_property("naturalWidth")) > 0)
    assert text(page, "state").startswith("Can be answered for ")

    presented = wallet(gateway, uri)

    assert presented.returncode == 0, presented.stderr
    state(page, "verified")
    assert text(page, "verdict") == "Accepted"
    assert "Alice Smith" in text(page, "credentials")
    shown = rows(page)
    assert ("passed", "token_signature") in shown
    assert ("passed", "status_value") in shown
    assert not {"failed", "unknown"} & {outcome for outcome, _ in shown}


def test_a_refused_presentation_says_what_did_not_hold(gateway, page):
    """A revoked credential is refused, and the filter leaves the one check that failed."""
    wallet(gateway, asked(page), "--revoked")

    state(page, "refused")
    assert text(page, "verdict") == "Refused"
    page.find_element(By.ID, "problems").click()
    assert rows(page) == [("failed", "status_value")]


def test_a_user_who_declines_is_told(gateway, page):
    """The wallet's error is shown in words."""
    wallet(gateway, asked(page), "--decline")

    state(page, "refused")
    assert "user_cancelled" in text(page, "summary")


def test_a_definition_of_ones_own(gateway, page):
    """A presentation definition can be asked for, and a wrong one is explained."""
    page.find_element(By.CSS_SELECTOR, "input[value=definition]").click()
    area = page.find_element(By.NAME, "definition")
    assert area.is_displayed()
    area.clear()
    area.send_keys('{"id": "x"}')
    page.find_element(By.CSS_SELECTOR, "form button").click()
    error = page.find_element(By.CSS_SELECTOR, ".error")
    WebDriverWait(page, PATIENCE).until(lambda _: "presentation definition" in error.text)
    assert [option.text for option in Select(page.find_element(By.NAME, "verifier")).options] == ["demo"]
    page.get_log("browser")  # The refused request is in it, rightly.


def test_nothing_on_the_page_is_inline_or_from_elsewhere(gateway, page):
    """The policy allows the page's own files alone, and they do without anything else."""
    with http(gateway) as client:
        answer = client.get("/demo/verifier")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-frame-options"] == "DENY"
    assert "style=" not in answer.text
    assert page.execute_script("return document.scripts.length") == 1
    with pytest.raises(JavascriptException, match="TrustedHTML"):
        page.execute_script("document.body.innerHTML = '<img src=x>'")
    page.get_log("browser")  # The refusal is in it, rightly.


def test_a_request_belongs_to_the_browser_that_made_it(gateway, page):
    """Whoever knows the id from the QR code sees neither state nor result."""
    uri = asked(page)
    request_id = uri.rpartition("/")[2]
    path = f"/demo/verifier/requests/{request_id}"
    with http(gateway) as stranger:
        assert stranger.get(path).status_code == 403
        cookie = stranger.get("/demo/verifier").headers["set-cookie"]
        assert cookie.startswith(COOKIE)
        assert all(part in cookie for part in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/"))
        assert stranger.get(path).status_code == 404
    assert page.execute_script("return document.cookie") == ""


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b'{"verifier": 1}', 400),
        (b'{"verifier": "nobody"}', 404),
        (b"x" * 90_000, 413),
    ],
)
def test_what_the_page_would_not_ask_is_refused(gateway, body, status):
    """Only a JSON object with a verifier that exists makes a request."""
    with http(gateway) as client:
        client.get("/demo/verifier")
        assert client.post("/demo/verifier/requests", content=body).status_code == status
