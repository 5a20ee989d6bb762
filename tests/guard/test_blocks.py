"""Which addresses are blocked, and for how long."""

from gateway.guard.blocks import FIRST, LONGEST, MEMORY, MOST, Blocks

SITE = "192.0.2.1"


def test_each_block_is_longer_than_the_last():
    """Twice as long each time, up to a bound; one that goes on is not begun anew."""
    blocks, now, lengths = Blocks(), 0.0, []
    for _ in range(7):
        seconds = blocks.block(SITE, now)
        lengths.append(seconds)
        assert blocks.block(SITE, now + seconds / 2) is None
        assert blocks.blocked(now + seconds / 2) == {SITE}
        now += seconds
        assert not blocks.blocked(now)
    assert lengths == [FIRST, 10.0, 20.0, 40.0, LONGEST, LONGEST, LONGEST]


def test_a_block_is_forgotten():
    """Who has behaved for long enough begins with the shortest block."""
    blocks = Blocks()
    blocks.block(SITE, 0.0)
    assert blocks.block(SITE, FIRST + MEMORY) == FIRST


def test_no_more_than_a_filter_takes():
    """There is a bound, and the one that was blocked before makes room, never one that is."""
    blocks = Blocks()
    sites = [f"192.0.{number // 256}.{number % 256}" for number in range(MOST)]
    for site in sites:
        blocks.block(site, 0.0)
    assert blocks.block(SITE + "0", 1.0) is None
    assert len(blocks.blocked(1.0)) == MOST
    assert blocks.block(SITE + "0", FIRST) == FIRST
    assert blocks.blocked(FIRST) == {SITE + "0"}
