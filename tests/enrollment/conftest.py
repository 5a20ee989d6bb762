"""What tests of enrollment share: the recorded exchange, and a device that signs whatever it is told to."""

import json
from pathlib import Path
from typing import Any

import pytest

VECTORS = Path(__file__).parents[1] / "vectors"


@pytest.fixture(scope="session")
def recorded() -> dict[str, Any]:
    """The exchange of the first generation, as recorded; the file names its source."""
    document: dict[str, Any] = json.loads((VECTORS / "wire_g1_exchange.json").read_text(encoding="utf-8"))
    return document
