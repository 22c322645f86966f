"""The backtest `borders`: what it adds up by hand-made numbers, and what it finds on the real tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from gridmargin.evaluation import TASKS, Ask
from gridmargin.evaluation.borders import Changes, _load_mw, _rows, _span
from gridmargin.grid import imports_column
from gridmargin.marginal import Estimates
from gridmargin.vocab import Basis, Fuel, InputError, Kind
from marginal.fuel_mix import states_of

T0 = datetime(2021, 5, 1, tzinfo=UTC)
N = 60
STARTS = int(T0.timestamp()) + 1800 * np.arange(N)


def estimates(zone: str, mid: float, half: float = 50.0, n: int = N) -> Estimates:
    one = np.ones((n, 1))
    return Estimates(
        zone, 1800, STARTS[:n], np.full(n, mid - half), np.full(n, mid), np.full(n, mid + half), ("gas",), one, mid * one,
        np.full(n, "day"), np.full(n, "reported"), Basis(Kind.MARGINAL), "made up", "1", "f",
    )  # fmt: skip


def changes() -> Changes:
    load = np.random.default_rng(1).normal(0, 100, (N, 2))
    return Changes(STARTS, load, load @ [0.9, 0.5])


def test_load_is_what_fossil_plants_anywhere_had_to_serve() -> None:
    """Own fossil output and what came in; wind is not asked for, and an interval without a flow is not known (C2)."""
    mix = {Fuel.GAS: np.array([100.0, 110.0, 120.0]), Fuel.WIND: np.array([5.0, 6.0, 7.0])}
    states = states_of(mix, start=T0)
    flow = pl.Series(imports_column("AU-VIC"), [10.0, None, -30.0], dtype=pl.Float64)
    states = type(states)(states.zone, states.interval_s, states.frame.with_columns(flow))
    load = _load_mw(states, ["AU-VIC"], np.append(states.start_epoch_s(), 0))
    np.testing.assert_array_equal(load, [110.0, np.nan, 90.0, np.nan])


def test_rates_that_are_right_follow_to_the_last_gram_and_a_range_adds_up() -> None:
    """900 and 500 g/kWh made the CO2: error 0, slope 1; half-widths of 50 g/kWh add to 0.1 × Σ|change| wide (C6)."""
    came = changes()
    right = {"AU-NSW": estimates("AU-NSW", 900.0), "AU-VIC": estimates("AU-VIC", 500.0)}
    low, mid, high = _span(["AU-NSW", "AU-VIC"], came, right, 0.7)
    np.testing.assert_allclose(mid, came.co2_t_per_h)
    np.testing.assert_allclose(high - low, 0.1 * np.abs(came.load_mw).sum(axis=1))
    rates = {
        "regression": {zone: estimates(zone, 700.0) for zone in right},
        "regression+imports": right,
    }
    rows = _rows(["AU-NSW", "AU-VIC"], came, came, rates, ["NEM"], {"period": "made up"})
    plain, modified = rows
    assert modified["mae"] == pytest.approx(0.0, abs=1e-9)
    assert modified["slope"] == pytest.approx(1.0)
    assert modified["mae_over_plain"] == pytest.approx(0.0, abs=1e-9)
    assert plain["mae"] == pytest.approx(np.abs(came.load_mw @ [-0.2, 0.2]).mean())
    assert modified["baselines"]["constant by region"]["mae"] == pytest.approx(0.0, abs=1e-9)
    assert modified["baselines"]["regression"]["mae"] == pytest.approx(plain["mae"])


def test_a_region_without_a_rate_is_given_the_constant_and_named() -> None:
    """It is not left out of the sum, and the row says which."""
    came = changes()
    _, mid, _ = _span(["AU-NSW", "AU-VIC"], came, {"AU-NSW": estimates("AU-NSW", 900.0)}, 0.6)
    np.testing.assert_allclose(mid, came.load_mw @ [0.9, 0.6])
    found = {"regression": {"AU-NSW": estimates("AU-NSW", 900.0)}}
    [row] = _rows(["AU-NSW", "AU-VIC"], came, came, found, ["NEM"], {"period": "made up"})
    assert row["regions_without_a_rate"] == ["AU-VIC"]


def test_too_few_intervals_with_a_rate_are_refused() -> None:
    """Ten estimates of sixty are no score."""
    came = changes()
    short = {"regression": {"AU-NSW": estimates("AU-NSW", 900.0, n=10)}}
    with pytest.raises(InputError, match="longer test"):
        _rows(["AU-NSW", "AU-VIC"], came, came, short, ["NEM"], {"period": "made up"})


@pytest.mark.data
def test_neighbours_bring_the_rate_nearer_to_what_all_regions_emitted(data_dir) -> None:
    """Days before the default test: imports and zonal beat what looks at one region alone; a fitted constant beats all."""
    start = datetime(2017, 6, 14, tzinfo=UTC)
    ask = Ask(data_dir, test_from=start, test_to=start + timedelta(days=2), region="NEM")
    rows = {row["estimator"]: row for row in TASKS.get("borders")(ask)["rows"]}
    assert set(rows) == {"regression", "regression+imports", "merit_order", "zonal"}
    assert rows["regression+imports"]["mae_over_plain"] < 1
    assert rows["zonal"]["mae_over_plain"] < 1
    assert all(row["r"] > 0.95 and row["mae_over_constant"] > 1 for row in rows.values())
    assert all(row["n"] >= 90 and not row["regions_without_a_rate"] for row in rows.values())
