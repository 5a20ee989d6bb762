"""A slow HSM under batches for as long as COUNTERSIGN_SOAK_SECONDS says (3 by default): memory stays flat."""

import os
from dataclasses import asdict

import pytest

from bench import slow_hsm

SECONDS = float(os.environ.get("COUNTERSIGN_SOAK_SECONDS", "3"))
GROWTH_MIB = 8.0
"""What the allocators of a process may still take once it is warm; ten minutes cost 2.7."""


@pytest.mark.parametrize("isolation", [False, True], ids=["in-process", "isolated"])
async def test_memory_is_flat(isolation, record_property):
    """Every token of every batch is signed, no process is replaced, and none grows."""
    window = min(10.0, SECONDS / 3)
    samples = await slow_hsm.soak(seconds=SECONDS, window=window, calls=4, isolation=isolation)

    assert len(samples) >= 2
    assert all(sample.tokens_per_second > 0 for sample in samples)
    first, last = samples[0].rss_mib, samples[-1].rss_mib
    assert len(first) == len(last)
    assert max(after - before for before, after in zip(first, last, strict=True)) < GROWTH_MIB
    record_property("samples", [asdict(each) for each in samples])
