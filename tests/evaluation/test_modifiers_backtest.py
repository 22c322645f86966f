"""The backtest `modifiers`: what is summed over a day and an hour, and what it finds on Germany's tables."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from gridmargin.evaluation import TASKS, Ask
from gridmargin.evaluation.modifiers import PUMPING, Seen, _by_hour, _curtailment_rows, _daily, _with_pumping
from gridmargin.marginal import Estimates
from gridmargin.vocab import Basis, Fuel, InputError, Interval, Kind, UnknownNameError, generation_column
from marginal.fuel_mix import states_of

T0 = datetime(2021, 5, 1, tzinfo=UTC)
QUARTER = 900


def starts(days: int) -> np.ndarray:
    return int(T0.timestamp()) + QUARTER * np.arange(96 * days)


def test_a_day_is_the_sum_of_its_changes_from_the_day_before() -> None:
    """Against a loop over days and quarter hours; a day with one interval unknown is no day."""
    draw = np.random.default_rng(0)
    at, load, co2, rate = starts(5), *draw.uniform(0, 100, (3, 480))
    load[200] = np.nan  # in day 2: neither it nor day 3, which is compared with it, is known
    days, moved, emitted, said = _daily(at, load, co2, rate)
    assert len(days) == 2
    for k, day in enumerate((1, 4)):
        rows = range(96 * day, 96 * (day + 1))
        assert moved[k] == pytest.approx(sum(load[t] - load[t - 96] for t in rows) / 4)
        assert emitted[k] == pytest.approx(sum(co2[t] - co2[t - 96] for t in rows) / 4)
        per = sum((rate[t] + rate[t - 96]) / 2 * (load[t] - load[t - 96]) for t in rows) / 4
        assert said[k] == pytest.approx(per)


def test_an_hour_is_the_mean_of_its_quarters_and_unknown_if_one_is() -> None:
    """NaN is not left out of a mean (C2)."""
    values = np.arange(8.0)
    values[5] = np.nan
    hour, mean = _by_hour(starts(1)[:8], values)
    assert len(hour) == 2
    np.testing.assert_array_equal(mean, [1.5, np.nan])


def test_what_stores_took_is_taken_off_what_they_gave() -> None:
    """An interval that the other table lacks is not known, and no zero."""
    states = states_of({Fuel.GAS: np.ones(3), Fuel.PUMPED: np.array([10.0, 20.0, 30.0])}, start=T0)
    at = states.start_epoch_s()
    table = {PUMPING: np.array([100.0, 5.0]), "Gesamt (Netzlast)": np.array([7.0, 8.0])}
    net, load = _with_pumping(states, at[:2], table)
    np.testing.assert_array_equal(net.generation_mw(Fuel.PUMPED), [-90.0, 15.0, np.nan])
    np.testing.assert_array_equal(load, [7.0, 8.0, np.nan])
    assert net.frame.schema[generation_column(Fuel.PUMPED)] == pl.Float64
    with pytest.raises(InputError, match="Netzlast"):
        _with_pumping(states, at, {PUMPING: np.ones(3)})


def estimates(at: np.ndarray, low: float, name: str) -> Estimates:
    n = len(at)
    one = np.ones((n, 1))
    return Estimates(
        "DE", QUARTER, at, np.full(n, low), np.full(n, 800.0), np.full(n, 900.0), ("gas",), one, 800 * one, np.full(n, "day"),
        np.full(n, "reported"), Basis(Kind.MARGINAL), name, "1", "f",
    )  # fmt: skip


def test_hours_in_which_nothing_fossil_answers_are_told_apart() -> None:
    """Fossil plants answer a half at a price above 0 and nothing at 0: a range down to 0 holds the latter, 700 does not."""
    draw = np.random.default_rng(2)
    at = starts(40)
    hours = len(at) // 4
    price = np.where(np.arange(hours) % 48 < 24, 30.0, 0.0)
    residual = np.cumsum(draw.normal(0, 100, hours))
    change = np.diff(residual, prepend=0.0)
    pays = (price > 0) & (np.roll(price, 1) > 0)
    fossil = 5e4 + np.cumsum(np.where(pays, 0.5 * change, 0.0))
    seen = Seen(at, *(np.repeat(x, 4) for x in (fossil, np.zeros(hours), 0.8 * fossil, residual, price)))
    cut = T0.replace(day=21)
    test = Interval(cut, datetime(2021, 6, 10, tzinfo=UTC))
    found = {
        "regression": estimates(at, 700.0, "regression"),
        "regression+curtailment": estimates(at, 0.0, "regression+curtailment"),
    }
    free, widened, dear = _curtailment_rows(seen, found, test)
    assert (free["regime"], dear["regime"]) == ("price at most 0", "price above 0")
    assert free["fossil_answers_frac"] == pytest.approx(0.0, abs=1e-9)
    assert dear["fossil_answers_frac"] == pytest.approx(0.5)
    assert free["slope"] == pytest.approx(0.0, abs=1e-9)
    assert free["coverage90"] == 0.0
    assert widened["coverage90"] == 1.0


def test_options_without_use_are_refused(tmp_path) -> None:
    """The zone is Germany's, and the tables are named that are not there."""
    with pytest.raises(UnknownNameError):
        TASKS.get("modifiers")(Ask(tmp_path, region="FR"))
    with pytest.raises(InputError, match="`horizon_min`"):
        TASKS.get("modifiers")(Ask(tmp_path, horizon_min=60))
    with pytest.raises(InputError, match="under"):
        TASKS.get("modifiers")(Ask(tmp_path))


@pytest.mark.data
def test_storage_does_not_help_and_curtailment_does(data_dir) -> None:
    """Four months before the default test: days come out worse with `storage`, hours of a free price better with the range."""
    period = {"test_from": datetime(2019, 1, 1, tzinfo=UTC), "test_to": datetime(2019, 5, 1, tzinfo=UTC)}
    rows = TASKS.get("modifiers")(Ask(data_dir, **period))["rows"]
    by = {(row["estimator"], row.get("regime")): row for row in rows}
    assert by["regression+storage", None]["mae_over_plain"] > 1
    plain, widened = (by[name, "price at most 0"] for name in ("regression", "regression+curtailment"))
    assert plain["slope"] < 0.5 < by["regression", "price above 0"]["slope"]
    assert widened["coverage90"] > plain["coverage90"] + 0.3
    assert widened["crps"] < plain["crps"]


@pytest.mark.data
def test_a_test_before_any_past_is_refused(data_dir) -> None:
    """Nothing precedes the first day."""
    with pytest.raises(InputError, match="test later"):
        TASKS.get("modifiers")(Ask(data_dir, test_to=datetime(2018, 2, 1, tzinfo=UTC), test_from=datetime(2017, 12, 31, tzinfo=UTC)))  # fmt: skip
