"""What the guard does about connections, with sockets and counts of the test's own."""

import pytest

from gateway.guard.guard import (
    ASK,
    BURST,
    DRAIN,
    ENDED,
    LOOK,
    QUICK_LOOK,
    SILENT,
    Counts,
    Guard,
    GuardLimits,
    Measure,
)
from gateway.guard.sockets import Connection
from gateway.limits.peers import AddressSet, site_of

CONNECTIONS, NEW, MESSAGE = 3, 10, 4 * 2**20
BAD, GOOD = "192.0.2.1", "198.51.100.1"


class Sockets:
    """In place of those of a process."""

    def __init__(self):
        self.connections, self.octets, self.ended = [], {}, []
        self._fresh, self._next = [], 1

    def open(self, host, count=1):
        """*count* more connections of *host*."""
        for _ in range(count):
            inode, self._next = self._next, self._next + 1
            connection = Connection(inode, inode, 50051, host, 40_000 + inode, site_of(host), 0.0)
            self.connections.append(connection)
            self._fresh.append(connection)
            self.octets[inode] = 0

    def scan(self, now, *, quick=False):
        fresh, self._fresh = self._fresh, []
        return fresh

    def received(self, connection):
        return self.octets[connection.inode]

    def close(self, connection):
        self.ended.append(connection)
        return True

    def listeners(self):
        return []


class Streams:
    """In place of channelz."""

    def __init__(self):
        self.counts, self.asked = {}, 0

    def of(self, connection):
        self.asked += 1
        return self.counts.get(connection.inode)

    def forget(self, inode):
        self.counts.pop(inode, None)


class Site:
    """A guard with a clock that the test moves."""

    def __init__(self, exempt=()):
        self.sockets, self.streams, self.now, self.begun = Sockets(), Streams(), 0.0, 0
        limits = GuardLimits(CONNECTIONS, NEW, MESSAGE, AddressSet(exempt))
        self.guard = Guard(
            limits, self.sockets, self.streams, begun=lambda: self.begun, clock=lambda: self.now
        )

    def look(self, after=LOOK):
        """The next look, *after* so many seconds."""
        self.now += after
        self.begun += len(self.sockets._fresh)
        return self.guard.look()


@pytest.fixture
def site():
    """A guard that has looked once."""
    site = Site()
    site.look()
    return site


def test_as_many_connections_as_there_may_be(site):
    """Nobody is closed; one more is, the newest, once."""
    site.sockets.open(BAD, CONNECTIONS)
    site.sockets.open(GOOD, CONNECTIONS)
    site.look()
    assert not site.sockets.ended
    site.sockets.open(BAD)
    site.look()
    site.sockets.open(GOOD, 0)
    site.look()
    assert [connection.inode for connection in site.sockets.ended] == [2 * CONNECTIONS + 1]
    assert (+site.guard.counts.closed, site.guard.counts.blocked) == ({Measure.CONNECTIONS: 1}, 1)


def test_networks_of_ipv6_count_as_one(site):
    """Addresses of one /64 have one bound."""
    for number in range(CONNECTIONS + 1):
        site.sockets.open(f"2001:db8::{number + 1}")
    site.look()
    assert len(site.sockets.ended) == 1


@pytest.mark.parametrize("exempt", ["192.0.2.0/24", "192.0.2.1"])
def test_exempt_networks(exempt):
    """Nothing holds for them."""
    site = Site((exempt,))
    site.sockets.open(BAD, BURST * NEW + 1)
    site.sockets.octets = dict.fromkeys(site.sockets.octets, 2**30)
    site.look()
    site.look()
    assert (site.sockets.ended, site.guard.counts.blocked, site.streams.asked) == ([], 0, 0)


def test_new_connections_of_an_address(site):
    """Those beyond the pace block the address; that of all together blocks nobody."""
    for number in range(BURST * NEW):
        site.sockets.open(f"198.51.100.{number}")
        site.sockets.open(BAD)
        site.sockets.connections.clear()  # They last for a moment only.
    assert site.look() == QUICK_LOOK
    assert site.guard.counts.blocked == 0
    site.sockets.open(BAD, int(NEW * LOOK) + 1)
    site.look()
    assert +site.guard.counts.blocks == {Measure.NEW_CONNECTIONS: 1}
    assert site.guard._blocks.blocked(site.now) == {BAD}


def test_the_pace_of_looks(site):
    """The guard looks more often while connections come fast, and only then."""
    assert site.look() == LOOK
    site.sockets.open(GOOD)
    assert site.look() == LOOK
    for number in range(NEW):
        site.sockets.open(f"198.51.100.{number}")
    assert site.look() == QUICK_LOOK
    assert site.look() == LOOK


def silent(site, octets, looks=1, **counts):
    """One connection on which *octets* come in *looks* looks, with *counts* at the end."""
    site.sockets.open(BAD)
    (connection,) = site.sockets.connections
    site.look()
    site.streams.counts[connection.inode] = Counts(**{"messages": 0, "begun": 0, "ended": 0} | counts)
    for _ in range(looks):
        site.sockets.octets[connection.inode] += octets // looks
        site.look()
    return site.sockets.ended


def test_octets_without_messages(site):
    """More than the largest message, and nothing of it a message: the connection is closed."""
    assert len(silent(site, MESSAGE + SILENT + DRAIN + 1)) == 1
    assert +site.guard.counts.closed == {Measure.SILENT: 1}


def test_a_message_on_its_way(site):
    """One of the largest messages may take its time."""
    assert silent(site, MESSAGE, looks=4) == []
    assert site.streams.asked > 0


def test_streams_that_ended_without_messages(site):
    """Half a mebibyte is enough where streams end and bring nothing."""
    assert len(silent(site, SILENT + DRAIN, ended=ENDED)) == 1


def test_few_streams_that_ended(site):
    """A few that end are calls that were given up."""
    assert silent(site, SILENT + DRAIN, ended=ENDED - 1) == []


def test_streams_with_heavy_heads(site):
    """Streams that were begun with more than honest fields take are enough too, before any of them ends."""
    assert len(silent(site, SILENT + DRAIN, begun=ENDED)) == 1


def test_streams_with_light_heads(site):
    """Calls that wait to be taken are none of these."""
    assert silent(site, SILENT + DRAIN, begun=2 * ENDED) == []


def test_messages_pay(site):
    """Each message that came pays for all before it."""
    site.sockets.open(GOOD)
    (connection,) = site.sockets.connections
    site.look()
    for messages in range(1, 20):
        site.sockets.octets[connection.inode] += MESSAGE
        site.streams.counts[connection.inode] = Counts(messages, messages * ENDED, messages * ENDED)
        site.look()
    assert not site.sockets.ended


def test_slowly_for_ever(site):
    """What keeps a connection alive never adds up, and the core is not asked."""
    assert silent(site, 400 * int(DRAIN * LOOK), looks=400, ended=10 * ENDED) == []
    assert site.streams.asked == 0


def test_a_connection_that_the_core_does_not_know(site):
    """One that shakes hands is left alone."""
    site.sockets.open(BAD)
    (connection,) = site.sockets.connections
    site.look()
    site.sockets.octets[connection.inode] = 2**30
    site.look()
    assert (site.sockets.ended, site.streams.asked) == ([], 1)


def test_little_is_not_asked_about(site):
    """Below an eighth of a mebibyte nobody looks any further."""
    assert silent(site, ASK) == []
    assert site.streams.asked == 0
