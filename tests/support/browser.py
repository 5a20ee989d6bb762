"""A headless Chromium that trusts one server's key and nothing else that is not public."""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

_PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS: Final = (
    "--headless",
    "--no-sandbox",  # The tests may run as root, in a container.
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,1600",
)


@contextmanager
def browser(folder: Path, certificate: Path) -> Iterator[Chrome]:
    """A browser with an empty profile in *folder*, for the server with the PEM *certificate*."""
    driver = which("chromedriver")
    program = next(filter(None, map(which, _PROGRAMS)), None)
    assert driver, "chromedriver is missing: .ci/need-chromium installs it"
    assert program, "chromium is missing: .ci/need-chromium installs it"
    options = ChromeOptions()
    options.binary_location = program
    for argument in _ARGUMENTS:
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={folder / 'profile'}")
    options.add_argument(f"--ignore-certificate-errors-spki-list={_spki(certificate)}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = Chrome(options, Service(driver))
    try:
        chrome.set_page_load_timeout(20)
        chrome.set_script_timeout(20)
        yield chrome
    finally:
        chrome.quit()


def _spki(certificate: Path) -> str:
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(der).digest()).decode()
