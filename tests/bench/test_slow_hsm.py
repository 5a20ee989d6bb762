"""The HSM behind a network that is measured: a gateway signs batches with it, in both modes."""

import pytest

from bench import slow_hsm


@pytest.mark.parametrize("isolation", [False, True], ids=["in-process", "isolated"])
async def test_figures_of_a_short_run(isolation):
    """Tokens of batches verify, and no more are made than the device can make."""
    figures = await slow_hsm.measure(seconds=0.5, rounds=1, calls=4, isolation=isolation)

    (case,) = figures["cases"].values()
    assert case["tokens_per_second"] > 0
    assert 0 < figures["ratios"][slow_hsm.RATIO] <= 1.1
    assert figures["targets"] == {slow_hsm.RATIO: 0.8}
