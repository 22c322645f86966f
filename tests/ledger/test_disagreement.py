"""Signals side by side, on series whose answer can be worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gridmargin.ledger import Signal, bands, pairs, rankings, side_by_side
from gridmargin.vocab import InputError, Interval, Kind, TimeError

NOON = datetime(2026, 7, 15, 12, tzinfo=UTC)
T0 = int(NOON.timestamp())
FOUR_HOURS = Interval.starting(NOON, 4 * 3600)
GAP = float("nan")


def signal(name, rates, *, zone="A", kind=Kind.MARGINAL, counts="direct_co2", step_s=3600, start=T0):
    starts = start + step_s * np.arange(len(rates), dtype=np.int64)
    return Signal(zone, name, "third_party", kind, counts, step_s, starts, np.array(rates, dtype=float))


def test_the_band_is_from_the_lowest_to_the_highest_where_two_speak():
    """Three signals of one kind; where one alone speaks there is no band, and a gap is not a zero (C2)."""
    table = side_by_side(
        [
            signal("x", [400, 500, 600, 300]),
            signal("y", [450, GAP, 100, GAP]),
            signal("z", [410, 900, GAP, GAP]),
        ],
        FOUR_HOURS,
    )
    [band] = bands(table)
    assert band.names == ("x", "y", "z")
    np.testing.assert_array_equal(band.low, [400, 500, 100, GAP])
    np.testing.assert_array_equal(band.high, [450, 900, 600, GAP])


def test_kinds_and_gases_have_bands_of_their_own():
    """A marginal rate and an average make no band, nor do CO2 and equivalents over a life (C3)."""
    table = side_by_side(
        [
            signal("a", [1, 1, 1, 1]), signal("b", [2, 2, 2, 2]),
            signal("c", [900] * 4, kind=Kind.AVERAGE), signal("d", [5] * 4, kind=Kind.AVERAGE, counts="life_cycle_co2e"),
        ],
        FOUR_HOURS,
    )  # fmt: skip
    [band] = bands(table)
    assert (band.kind, band.names) == (Kind.MARGINAL, ("a", "b"))
    assert [(p.first, p.second) for p in pairs(table) if p.same_measure] == [("a", "b")]


def test_pairs_are_held_over_what_both_state():
    """Differences of -10, +30 and +10 are +10 on average and 16.67 by size; lines that rise together correlate by 1."""
    table = side_by_side(
        [signal("x", [100, 230, 310, 7]), signal("y", [110, 200, 300, GAP]), signal("flat", [5, 5, 5, 5])],
        FOUR_HOURS,
    )
    first, flat, _ = pairs(table)
    assert (first.n, first.mean_difference) == (3, pytest.approx(10))
    assert first.mean_absolute_difference == pytest.approx(50 / 3)
    assert first.correlation == pytest.approx(np.corrcoef([100, 230, 310], [110, 200, 300])[0, 1])
    assert flat.correlation is None
    opposite = side_by_side([signal("x", [1, 2, 3, 4]), signal("y", [4, 3, 2, 1])], FOUR_HOURS)
    assert pairs(opposite)[0].correlation == pytest.approx(-1)


def test_the_finer_signal_is_brought_to_the_coarser_and_only_where_it_is_whole():
    """Four quarters of 100, 200, 300 and 400 are an hour of 250; three of four are none."""
    fine = signal("fine", [100, 200, 300, 400, 100, GAP, 100, 100], step_s=900)
    table = side_by_side([fine, signal("coarse", [1, 2, 3, 4])], FOUR_HOURS)
    assert table.step_s == 3600
    np.testing.assert_array_equal(table.rate_gco2_per_kwh[:, 0], [250, GAP, GAP, GAP])


def test_a_stretch_begins_with_its_first_whole_interval():
    """From half past, the first hour is the next one."""
    half_past = Interval(datetime(2026, 7, 15, 12, 30, tzinfo=UTC), FOUR_HOURS.end_utc)
    table = side_by_side([signal("x", [1, 2, 3, 4])], half_past)
    assert table.start_epoch_s.tolist() == [T0 + 3600, T0 + 7200, T0 + 10800]
    assert table.rate_gco2_per_kwh[:, 0].tolist() == [2, 3, 4]


def test_the_order_of_two_zones_flips_where_two_do_not_agree():
    """x calls A higher in hours 1, 2, 4, y in hours 1, 3; they differ in 2 and 3; in 4 y calls both the same."""
    here = side_by_side([signal("x", [500, 500, 300, 500]), signal("y", [480, 300, 500, 400])], FOUR_HOURS)
    there = side_by_side(
        [signal("y", [400, 400, 400, 400], zone="B"), signal("x", [400, 400, 400, 400], zone="B")], FOUR_HOURS
    )
    [found] = rankings(here, there)
    assert found.names == ("x", "y")
    assert found.flip_epoch_s.tolist() == [T0 + 3600, T0 + 7200]
    assert found.n_compared == 3
    assert found.first_is_higher_frac == {"x": 0.75, "y": 0.5}


def test_whoever_states_one_zone_alone_ranks_nothing():
    """A ranking needs two tellers of both zones."""
    here = side_by_side([signal("x", [1] * 4), signal("y", [1] * 4)], FOUR_HOURS)
    there = side_by_side([signal("x", [2] * 4, zone="B")], FOUR_HOURS)
    assert rankings(here, there) == []


def test_bad_input_is_named():
    """Two signals of one name, a stretch too short, and tables on different grids."""
    with pytest.raises(InputError, match="two signals of A are called 'x'"):
        side_by_side([signal("x", [1]), signal("x", [2])], FOUR_HOURS)
    with pytest.raises(TimeError, match="no whole interval of 3600 s"):
        side_by_side([signal("x", [1])], Interval.starting(NOON, 1800))
    quarter = side_by_side([signal("x", [1] * 16, step_s=900)], FOUR_HOURS)
    with pytest.raises(InputError, match="different grids"):
        rankings(quarter, side_by_side([signal("x", [1] * 4, zone="B")], FOUR_HOURS))


rates = st.lists(
    st.one_of(st.floats(-100, 2000, allow_subnormal=False), st.just(GAP)), min_size=4, max_size=4
)


@given(st.lists(rates, min_size=2, max_size=5))
def test_every_signal_lies_in_its_band(columns):
    """Whatever is said lies between low and high, both of which somebody said."""
    table = side_by_side([signal(f"s{k}", values) for k, values in enumerate(columns)], FOUR_HOURS)
    [band] = bands(table)
    for row, said in enumerate(table.rate_gco2_per_kwh):
        known = said[np.isfinite(said)]
        if len(known) < 2:
            assert np.isnan(band.low[row])
            assert np.isnan(band.high[row])
        else:
            assert (band.low[row], band.high[row]) == (min(known), max(known))


@given(st.lists(st.tuples(rates, rates), min_size=2, max_size=4))
def test_the_flips_are_the_same_from_either_zone(columns):
    """Swapping the zones swaps who is higher and changes neither flips nor what is compared; a zone beside itself has none."""
    here = side_by_side([signal(f"s{k}", a) for k, (a, _) in enumerate(columns)], FOUR_HOURS)
    there = side_by_side([signal(f"s{k}", b, zone="B") for k, (_, b) in enumerate(columns)], FOUR_HOURS)
    [forth], [back] = rankings(here, there), rankings(there, here)
    assert forth.flip_epoch_s.tolist() == back.flip_epoch_s.tolist()
    assert forth.n_compared == back.n_compared >= len(forth.flip_epoch_s)
    [alone] = rankings(here, here)
    assert (len(alone.flip_epoch_s), alone.n_compared) == (0, 0)


@given(st.lists(rates, min_size=2, max_size=4))
@example([[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 2e-213]])  # whose variance is too small for a double
def test_a_pair_seen_from_the_other_end_has_the_other_sign(columns):
    """The mean difference turns its sign, and correlation lies between -1 and 1 and stays."""
    signals = [signal(f"s{k}", values) for k, values in enumerate(columns)]
    forth = {(p.first, p.second): p for p in pairs(side_by_side(signals, FOUR_HOURS))}
    for pair in pairs(side_by_side(signals[::-1], FOUR_HOURS)):
        other = forth[pair.second, pair.first]
        assert pair.n == other.n
        if pair.n:
            assert pair.mean_difference == pytest.approx(-other.mean_difference)
        if pair.correlation is not None:
            assert pair.correlation == pytest.approx(other.correlation)
            assert -1 <= pair.correlation <= 1
