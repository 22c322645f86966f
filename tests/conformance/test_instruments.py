"""What must hold of every instrument that is asked live: the same traces, behind each one's own boundary."""

import itertools
import logging
import math

import pytest

from gridmargin.meters import METERS, LiveMeter, Quantity, look_for_all
from gridmargin.vocab import Status
from meters.fakes import T0_US, WORLDS, close_all, opened, play

LIVE = [
    name for name in METERS if isinstance(METERS.get(name), type) and issubclass(METERS.get(name), LiveMeter)
]

TRACE = [(0, 1000), (1, 1100), (2, 1250), (3, None), (4, 1500), (5, 50), (6, 170), (7, 170), (8, 300)]
"""A sample that is dropped at 3, a reset before 5, and a counter that shows the same twice."""


@pytest.fixture(autouse=True)
def _servers_end():
    yield
    close_all()


@pytest.fixture(params=LIVE)
def name(request):
    """Each instrument in turn."""
    return request.param


def test_there_are_instruments_to_examine():
    """The suite below examines every one that is registered, and there are nine of ours."""
    assert {"amd", "cpu_time", "dcgm", "kepler", "nvml", "prometheus", "rapl", "redfish", "snmp"} <= set(LIVE)
    assert set(WORLDS) == set(LIVE), "no fake for one of them: add a World"


def test_the_trace_gives_what_its_counter_says_and_nothing_where_it_says_nothing(name, tmp_path):
    """Whole stretches reported, the one over the dropped sample imputed, none over the reset."""
    world = WORLDS[name](tmp_path)
    with opened(world, name) as meter:
        play(world, meter, TRACE)
        found = list(meter.readings())
    stands = meter.stands_s is None
    units = [100, 150, 250, 120, 0, 130] if stands else [100, 150, 250, 120, 130]
    assert [r.energy_j for r in found] == pytest.approx([u * world.unit_j for u in units], rel=1e-6)
    whole = Status.MODELLED if name in ("kepler", "cpu_time") else Status.REPORTED
    gap = Status.MODELLED if whole is Status.MODELLED else Status.IMPUTED
    assert [r.status for r in found] == [whole, whole, gap, *[whole] * (len(found) - 3)]
    periods = [1, 1, 2, 1, 1, 1] if stands else [1, 1, 2, 1, 2]
    assert [r.resolution_s for r in found] == pytest.approx([p * meter.sample_s for p in periods])
    assert [r.interval.duration_s for r in found] == pytest.approx([r.resolution_s for r in found])


def test_readings_lie_in_order_and_never_overlap(name, tmp_path):
    """By device and start; each finite and not negative."""
    world = WORLDS[name](tmp_path)
    with opened(world, name) as meter:
        play(world, meter, TRACE)
        found = list(meter.readings())
        inside = found[1].interval
        assert list(meter.readings(inside)) == [found[1]]
    assert all(r.meter == name and math.isfinite(r.energy_j) and r.energy_j >= 0 for r in found)
    for a, b in itertools.pairwise(found):
        assert (a.device, a.interval.end_utc) <= (b.device, b.interval.start_utc)


def test_a_meter_that_vanishes_leaves_no_reading_and_says_so(name, tmp_path):
    """What it told before stays; after that there is nothing, and a fault."""
    world = WORLDS[name](tmp_path)
    with opened(world, name) as meter:
        play(world, meter, [(0, 10), (1, 20), *((i, None) for i in range(2, 30))])
        found = list(meter.readings())
        assert [r.energy_j for r in found] == pytest.approx([10 * world.unit_j], rel=1e-6)
        assert meter.n_silent == 28
        assert any(name in fault for fault in meter.faults())
        play(world, meter, [(30, 300), (31, 310)])
        after = list(meter.readings())
    assert meter.faults() == []
    # The counter went on: how much it was in all is known, when it was is not.
    assert [r.energy_j for r in after] == pytest.approx([u * world.unit_j for u in (10, 280, 10)], rel=1e-6)
    assert after[1].resolution_s == pytest.approx(29 * meter.sample_s)
    assert after[1].status is not Status.REPORTED


def test_a_device_without_a_counter_is_read_by_its_power_or_not_at_all(name, tmp_path):
    """Power stands for the time since the sample before, and for nothing over a gap."""
    world = WORLDS[name](tmp_path)
    world.energy_j = None
    world.power_w = 120.0
    if name in ("cpu_time", "kepler", "rapl", "prometheus"):
        with opened(world, name) as meter:
            assert meter.sample() == 0
            assert list(meter.readings()) == []
            assert meter.faults()
        return
    with opened(world, name) as meter:
        for periods in (0, 1, 2, 4, 5):
            world.clock.us = T0_US + round(periods * meter.sample_s * 1e6)
            world.put()
            meter.sample()
        found = list(meter.readings())
    assert [r.energy_j for r in found] == pytest.approx([120.0 * meter.sample_s] * 3)
    assert [r.status for r in found] == [Status.REPORTED] * 3


def test_a_counter_that_stands_has_no_reading_until_it_moves(name, tmp_path):
    """A device that is on draws something: a counter that stands longer than it can is said to, and not read as 0 J."""
    world = WORLDS[name](tmp_path)
    with opened(world, name) as meter:
        if meter.stands_s is None:
            play(world, meter, [(0, 10), (1, 10), (2, 10)])
            assert [r.energy_j for r in meter.readings()] == [0, 0]
            return
    world = WORLDS[name](tmp_path / "again")
    with opened(world, name, sample_s=meter.stands_s / 4) as meter:
        play(world, meter, [(0, 10), (1, 20), (2, 30), *((i, 30) for i in range(3, 9))])
        assert [r.energy_j for r in meter.readings()] == pytest.approx([10 * world.unit_j] * 2, rel=1e-6)
        assert any("stood still" in fault for fault in meter.faults())
        play(world, meter, [(9, 90)])
        *_, across = meter.readings()
    assert across.energy_j == pytest.approx(60 * world.unit_j, rel=1e-6)
    assert across.status is Status.IMPUTED


def test_a_clock_that_goes_back_makes_no_reading_twice(name, tmp_path):
    """Samples at a time that is over are refused and counted."""
    world = WORLDS[name](tmp_path)
    with opened(world, name) as meter:
        play(world, meter, [(0, 10), (1, 20), (0.5, 30), (2, 40)])
        found = list(meter.readings())
    assert meter.n_refused > 0
    assert [r.energy_j for r in found] == pytest.approx([10 * world.unit_j, 20 * world.unit_j], rel=1e-6)


def test_memory_is_bounded(name, tmp_path):
    """The ring keeps the newest samples, and the readings between them are those that were."""
    world = WORLDS[name](tmp_path)
    with opened(world, name) as meter:
        meter.keep = 4
        play(world, meter, [(i, 10 * i + i * i) for i in range(12)])
        found = list(meter.readings())
    assert len(found) == 3
    assert [r.energy_j for r in found] == pytest.approx(
        [(10 + 2 * i + 1) * world.unit_j for i in (8, 9, 10)], rel=1e-6
    )


def test_it_is_listed_with_its_devices_or_with_what_is_missing(name, tmp_path):
    """As `gridmargin meters` looks: what is there is named, what is not says what to do; nothing stays open."""
    world = WORLDS[name](tmp_path)
    world.energy_j = 7 * world.unit_j
    around = world.around()
    here = {finding.instrument: finding for finding in look_for_all(METERS, around)}
    assert set(here) == set(LIVE)
    found = here[name]
    assert found.missing is None
    assert found.devices
    assert all(Quantity.ENERGY.value in device.quantities for device in found.devices)
    for other, finding in here.items():
        if other != name and finding.missing is not None:
            assert finding.way_out
            assert not finding.devices


def test_no_secret_is_shown(name, tmp_path, caplog):
    """Not in what is listed, not in a fault, not in a log, not in the surroundings' own words."""
    caplog.set_level(logging.DEBUG)
    world = WORLDS[name](tmp_path)
    with opened(world, name) as meter:
        play(world, meter, [(0, 10), (1, None)])
        shown = [repr(meter), str(meter.faults()), caplog.text]
    around = world.around()
    shown += [repr(around.reach(name)), repr(list(look_for_all(METERS, around)))]
    for secret in world.words.get("community"), world.words.get("password"):
        assert secret is None or not any(secret in text for text in shown)
