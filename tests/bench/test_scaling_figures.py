"""What the scaling bench says of a cell: its cost, and what bounds its calls per second."""

import pytest

from bench.scaling_figures import Measured, Setting, bound_of, row_of

ONE, FOUR = Setting(1, 1), Setting(1, 4)


def measured(**changes: float) -> Measured:
    """A window of 1,000 calls a second, each 950 us of the gateway."""
    values = {
        "per_second": 1000.0,
        "gateway_us": 950.0,
        "database_us": 50.0,
        "generator_us": 300.0,
        "machine_busy": 0.65,
    }
    return Measured(**(values | changes))


@pytest.mark.parametrize(
    ("setting", "changes", "bound"),
    [
        (ONE, {}, "workers"),
        (FOUR, {}, "waiting"),
        (FOUR, {"per_second": 1500.0, "machine_busy": 0.98}, "processors"),
        (FOUR, {"per_second": 800.0, "machine_busy": 0.98}, "others"),
    ],
)
def test_what_bounds_a_cell(setting, changes, bound):
    """Busy workers, a machine that is busy with the bench or with other work, or none of it."""
    assert bound_of(setting, measured(**changes), 2) == bound


def test_a_row():
    """Medians, and the cost compared with that of the first setting of the same case."""
    first = row_of(ONE, "mint", [measured(), measured(gateway_us=5000.0), measured()])
    assert (first["calls_per_second"], first["gateway_cpu_us_per_call"]) == (1000.0, 950.0)
    assert (first["cost_vs_one"], first["processors_used"]) == (1.0, 1.3)
    other = row_of(FOUR, "introspect", [measured(gateway_us=1.0)], [first])
    second = row_of(FOUR, "mint", [measured(gateway_us=1150.0)], [first, other])
    assert (other["cost_vs_one"], second["cost_vs_one"]) == (1.0, 1.2)
