"""How long a response may be kept."""

import pytest

from gateway.fetching import Fetched, freshness_lifetime

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"cache-control": "public"}, None),
        ({"cache-control": "max-age=300"}, 300),
        ({"cache-control": "public, Max-Age=300, must-revalidate"}, 300),
        ({"cache-control": 'max-age="300"'}, 300),
        ({"cache-control": "max-age=300", "age": "100"}, 200),
        ({"cache-control": "max-age=300", "age": "400"}, 0),
        ({"cache-control": "max-age=300", "age": "soon"}, 300),
        ({"cache-control": "max-age=300, max-age=600"}, 300),
        ({"cache-control": "max-age=300, no-store"}, 0),
        ({"cache-control": "no-cache"}, 0),
        ({"cache-control": "max-age=-1"}, 0),
        ({"cache-control": "max-age=1e9"}, 0),
        ({"cache-control": "max-age=" + "9" * 5000}, 0),
        ({"cache-control": "max-age=60", "expires": "0"}, 60),
        ({"expires": "Sun, 06 Nov 1994 08:50:37 GMT", "date": DATE}, 60),
        ({"expires": "Sun, 06 Nov 1994 08:50:37 GMT", "date": DATE, "age": "20"}, 40),
        ({"expires": "Sun, 06 Nov 1994 08:48:37 GMT", "date": DATE}, 0),
        ({"expires": "0", "date": DATE}, 0),
        ({"expires": DATE}, 0),
    ],
)
def test_freshness(headers, seconds):
    """max-age counts before Expires, Age is taken off, and what cannot be read is stale."""
    assert freshness_lifetime(Fetched(200, headers, b"", "https://data.example.org/")) == seconds
