"""How often everybody acts before a soak begins, so that all that may be remembered is remembered by then.

A gateway remembers what it has read, each kind up to a number of entries. Until they are full these grow as a
leak does, and nobody can tell one from the other; once they are full, all that still grows is a leak. The
numbers of rounds follow from those bounds, which are the gateway's own.
"""

import math
from collections.abc import Mapping
from typing import Final

from gateway.enrollment import device_proof, identifiers
from gateway.jose import jws
from gateway.limits import peers
from gateway.pki import name_policy, subject_alternative_names
from gateway.proofs import target_uri
from gateway.store import order_document
from gateway.tokens import verification

MANY: Final = 1_000
"""Tokens that the actor `many` mints and introspects at once: the most that a call takes. They also want
every session of an HSM at the same time, so that its pool opens all that it may have."""
WIDTH: Final = 13
"""Rounds at a time while filling: as many as a soak has actors, all of which may act at once. What the
allocator needs for so many is the gateway's from then on."""
_TOKEN_TURNS: Final = 3
"""How often the memory of tokens is filled. At first entries lie one after the other; later each takes the
place of one that was made at another time, beside others that stay, which takes a tenth more room."""
_ORDER_TURNS: Final = 2
_EACH: Final = 100
"""Rounds of whoever fills nothing that is bounded by a number of entries."""

_ORDER: Final = max(
    identifiers.REMEMBERED,  # What the identifiers of an order say.
    order_document.REMEMBERED,  # An order as it was read; each has several while it goes on.
    device_proof.PROOFS_KEPT,
    target_uri.CACHE_ENTRIES,  # An order has a target of its own for the proof of its device.
    name_policy.ACCEPTED_ENTRIES,
    subject_alternative_names.CACHE_ENTRIES,
)

ROUNDS: Final[Mapping[str, int]] = {
    "mint": _EACH,
    "batch": _EACH,
    # A token that was verified, and what it says.
    "many": _TOKEN_TURNS * math.ceil(verification.CACHE_ENTRIES / MANY),
    "introspect_and_revoke": _EACH,
    "refresh": _EACH,
    # Each round has a key of its own, which stands in the header of its proof.
    "dpop": jws.HEADER_CACHE_ENTRIES,
    "https_token": _EACH,
    "enroll": _ORDER_TURNS * _ORDER,
    "watch": _EACH,
    "reconnect": _EACH,
    # A peer, its port included: each connection is another one, but for ports that come twice.
    "https_reconnect": peers.REMEMBERED + peers.REMEMBERED // 8,
    "fail": _EACH,
    "abandon": _EACH,
}
"""By actor of `bench.soak_load`."""
