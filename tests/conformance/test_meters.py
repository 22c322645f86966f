"""What must hold of every meter."""

import itertools
import math
from datetime import UTC, datetime, timedelta

import pytest

from gridmargin.meters import METERS, MeterWindow
from gridmargin.reference import profile_for
from gridmargin.vocab import Interval, Status
from meters.fakes import WORLDS, close_all, play

T0 = datetime(2026, 7, 15, 18, tzinfo=UTC)
WINDOW = Interval.starting(T0, 60)
PROFILE = profile_for("H100", "llama-3.1-8b")


def modelled(folder):
    windows = [MeterWindow(0, int(T0.timestamp()) + 900 * i, 100.0 + i, 20.0, 5.0, 9.0, 40) for i in range(4)]
    return METERS.get("modelled")(PROFILE, windows, 900)


def recorded(folder):
    from gridmargin.meters.counting import Instrument

    path = folder / "trace.csv"
    # A counter that wraps at 1000 J in its third period, loses the sample at 40 s, and goes on.
    rows = [(0, 900.0), (10, 950.0), (20, 990.0), (30, 40.0), (50, 140.0), (60, 190.0)]
    lines = [f"{(T0 + timedelta(seconds=s)).isoformat()},{j}" for s, j in rows]
    path.write_text("time_utc,energy_j\n" + "\n".join(lines) + "\n")
    return METERS.get("recorded")(path, Instrument(10.0, modulus_j=1000.0, most_power_w=50.0))


OPEN = []


def live(name):
    """An instrument that went through a gap and a reset; test_instruments.py looks closer."""

    def build(folder):
        world = WORLDS[name](folder)
        meter = METERS.get(name).open(world.around())
        OPEN.append(meter)
        play(
            world, meter, [(0, 1000), (1, 1100), (2, 1250), (3, None), (4, 1500), (5, 50), (6, 170), (7, 300)]
        )
        return meter

    return build


BUILDERS = {"modelled": modelled, "recorded": recorded, **{name: live(name) for name in WORLDS}}


@pytest.fixture(autouse=True)
def _let_go():
    yield
    while OPEN:
        OPEN.pop().close()
    close_all()


@pytest.mark.parametrize("name", list(METERS))
def test_a_meter_reports_energy_that_is_never_negative_and_never_overlaps(name, tmp_path):
    """Readings in order, finite, not negative, none over another; and there are some."""
    assert name in BUILDERS, f"no sample meter for {name}: add a builder"
    meter = BUILDERS[name](tmp_path)
    assert meter.name == name
    assert meter.sees
    found = list(meter.readings())
    assert found
    assert all(r.energy_j >= 0 and r.resolution_s > 0 and r.meter == name for r in found)
    for a, b in itertools.pairwise(found):
        assert a.device != b.device or a.interval.end_utc <= b.interval.start_utc


@pytest.mark.parametrize("name", list(METERS))
def test_only_readings_wholly_inside_are_given(name, tmp_path):
    """A window that sticks out of the question is not part of the answer."""
    meter = BUILDERS[name](tmp_path)
    whole = list(meter.readings())
    inside = Interval(whole[0].interval.start_utc, whole[-1].interval.end_utc - timedelta(microseconds=1))
    assert len(list(meter.readings(inside))) == len(whole) - 1


def test_a_wrap_is_counted_and_a_dropped_sample_is_said(tmp_path):
    """The counter went 900 → 1190 J over its wrap: 290 J in all; what spans the lost sample is imputed, not reported."""
    found = list(recorded(tmp_path).readings())
    assert math.fsum(r.energy_j for r in found) == pytest.approx(290.0)
    assert [r.status for r in found] == [Status.REPORTED] * 3 + [Status.IMPUTED, Status.REPORTED]
    assert found[3].interval.duration_s == 20
