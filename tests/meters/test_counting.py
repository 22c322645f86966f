"""Counters of any instrument: what is counted is what was drawn, whatever the samples miss."""

import math
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.meters.counting import Instrument, counted
from gridmargin.meters.sample import Channel, Quantity
from gridmargin.meters.track import Track
from gridmargin.vocab import InputError, Status

T0_US = 1_784_138_400_000_000
DRAWN = st.lists(st.integers(0, 900), min_size=2, max_size=40)


def track(stands_s=None, keep=1000, modulus_j=None, quantity=Quantity.ENERGY):
    channel = Channel("d", quantity, Status.REPORTED, modulus_j, None if modulus_j is None else 1000.0)
    return Track(channel, 1.0, stands_s, keep)


@given(drawn=DRAWN, start=st.integers(0, 9_999))
def test_a_counter_that_wraps_gives_what_was_drawn(drawn, start):
    """The oracle adds up without a modulus; the counter turns at 10,000 J and the device draws less than 1,000 W."""
    told = track(modulus_j=10_000.0)
    total = start
    for second, energy_j in enumerate([0, *drawn]):
        total += energy_j
        told.add(T0_US + second * 1_000_000, total % 10_000)
    found = told.readings("m")
    assert [r.energy_j for r in found] == pytest.approx([float(e) for e in drawn], abs=1e-6)


@given(drawn=DRAWN, asked=st.data())
def test_dropped_samples_move_no_energy(drawn, asked):
    """What is read over any choice of samples adds up to what was drawn between the first and the last of them."""
    totals = np.cumsum([0, *drawn])
    kept = [i for i in range(len(totals)) if asked.draw(st.booleans(), label=f"sample {i}")]
    told = track()
    for i in kept:
        told.add(T0_US + i * 1_000_000, float(totals[i]))
    found = told.readings("m")
    drawn_j = totals[kept[-1]] - totals[kept[0]] if kept else 0
    assert math.fsum(r.energy_j for r in found) == pytest.approx(drawn_j, abs=1e-9)
    gaps = np.diff(kept)
    assert [r.status for r in found] == [Status.IMPUTED if gap > 1 else Status.REPORTED for gap in gaps]


@given(drawn=DRAWN, every=st.integers(2, 9), offset=st.integers(0, 8))
def test_asking_more_often_than_the_counter_moves_moves_no_energy(drawn, every, offset):
    """A counter that moves at every n-th sample is read from movement to movement; nothing is read as 0 J."""
    told = track(stands_s=20.0)
    totals = np.cumsum([1, *drawn])
    moments = range(offset, len(totals) * every)
    for i in moments:
        told.add(T0_US + i * 1_000_000, float(totals[i // every]))
    moved = [i for i in moments[1:] if totals[i // every] != totals[(i - 1) // every]]
    # What moved right after the first sample is known since then; else only since when it was first seen to move.
    since = [offset, *moved] if moved[:1] == [offset + 1] else moved
    found = told.readings("m")
    assert [r.energy_j for r in found] == [float(e) for e in np.diff([totals[i // every] for i in since])]
    assert [r.resolution_s for r in found] == [float(d) for d in np.diff(since)]
    assert all(r.energy_j > 0 for r in found)


@given(drawn=DRAWN, keep=st.integers(2, 12))
def test_the_ring_gives_the_newest_readings_as_they_were(drawn, keep):
    """A small ring gives the last of what a large one gives."""
    small, large = track(keep=keep), track()
    total = 0.0
    for second, energy_j in enumerate(drawn):
        total += energy_j
        for told in (small, large):
            told.add(T0_US + second * 1_000_000, total)
    assert small.readings("m") == large.readings("m")[-(keep - 1) :]
    assert len(small.series()[0]) == min(keep, len(drawn))


@given(values=st.lists(st.one_of(st.floats(), st.just(-1.0)), max_size=30))
def test_whatever_an_instrument_says_no_reading_is_negative_or_infinite(values):
    """NaN, infinities and what is below 0 are refused; a fall is a reset."""
    for quantity in Quantity:
        told = track(quantity=quantity)
        for second, value in enumerate(values):
            told.add(T0_US + second * 1_000_000, value)
        assert all(r.energy_j >= 0 and math.isfinite(r.energy_j) for r in told.readings("m"))


def test_a_counter_that_may_have_turned_more_than_once_has_no_reading():
    """At 1,000 W a turn of 10,000 J takes 10 s: over 12 s nobody knows how many there were."""
    instrument = Instrument(1.0, 10_000.0, 1_000.0)
    energy_j, known = counted(np.array([100.0, 600.0, 900.0]), np.array([1.0, 12.0]), instrument)
    assert list(known) == [True, False]
    assert energy_j[0] == 500.0


def test_a_counter_above_its_modulus_is_not_believed():
    """It is another counter than was said."""
    _, known = counted(np.array([9_000.0, 10_500.0, 200.0]), np.ones(2), Instrument(1.0, 10_000.0, 1_000.0))
    assert list(known) == [False, False]


def test_a_modulus_without_a_greatest_power_is_refused():
    """A counter that wrapped could not be told from one that was reset."""
    with pytest.raises(InputError, match="most_power_w"):
        Instrument(1.0, modulus_j=10.0)


def test_a_stretch_has_the_moments_of_its_samples():
    """To the microsecond, in UTC."""
    told = track()
    told.add(T0_US + 1, 1.0)
    told.add(T0_US + 1_000_002, 5.0)
    [reading] = told.readings("m")
    assert reading.interval.start_utc == datetime(2026, 7, 15, 18, 0, 0, 1, UTC)
    assert reading.resolution_s == pytest.approx(1.000001)
