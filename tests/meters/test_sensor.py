"""The sensor model: what a driver's readings say of energy, on boards whose power is known exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.meters import (
    Metered,
    Sensor,
    SensorError,
    calibrate,
    counter_trace,
    driver_energy,
    fit_sensor,
    level_share,
    longest_window_s,
    residuals,
    trace,
    unfitted_error,
    update_period_s,
    updates,
    window_energy,
)
from gridmargin.vocab import InputError

MS = 0.001
LENGTHS = np.array([0.01, 0.1, 1.0])
EXACT = SensorError(LENGTHS, np.zeros(3), np.zeros(3), np.zeros(3))


def board(seconds=6.0, idle_w=60.0, busy_w=300.0, seed=0):
    """Idle for a second, then stretches of other powers of uneven length, in steps of 1 ms."""
    draw = np.random.default_rng(seed)
    at = np.arange(0, seconds, MS)
    turns = np.concatenate([[1.0], 1.0 + np.cumsum(draw.uniform(0.25, 0.7, 40))])
    levels = np.concatenate([[idle_w], draw.uniform(idle_w, busy_w, 41)])
    return at, levels[np.searchsorted(turns, at, side="right")]


def reported(at, power_w, sensor, first_s=0.3):
    """Read a board as the sensor does, by explicit means over its window; polled each 7 ms."""
    total = np.concatenate([[0.0], np.cumsum(power_w) * MS])
    shown = np.arange(max(first_s, sensor.window_s), at[-1], sensor.update_s)
    if sensor.lag_s > 0:
        state, states = power_w[0], []
        for watts in power_w:
            state += (watts - state) * MS / sensor.lag_s
            states.append(state)
        mean = np.interp(shown, at, states)
    else:
        edges = np.append(at, at[-1] + MS)
        mean = (
            np.interp(shown, edges, total) - np.interp(shown - sensor.window_s, edges, total)
        ) / sensor.window_s
    values = (mean - sensor.offset_w) / sensor.gain
    polled = np.arange(shown[0], at[-1], 7 * MS)
    return polled + sensor.delay_s, values[np.searchsorted(shown, polled + 1e-9, side="right") - 1]


def truth(at, power_w):
    return Metered(np.append(at, at[-1] + MS), np.concatenate([[0.0], np.cumsum(power_w) * MS]))


@pytest.mark.parametrize("update_s", [0.02, 0.1])
def test_the_period_is_found_from_repeats(update_s) -> None:
    """Ten polls an update give the period of the updates; a reading that never changes has none."""
    ramp = np.repeat(np.arange(60.0), 10)
    assert update_period_s(np.arange(600) * update_s / 10, ramp) == pytest.approx(update_s)
    assert update_period_s(np.arange(600.0), np.full(600, 5.0)) is None


def test_a_value_that_stands_for_three_periods_is_three_updates() -> None:
    """And what precedes the first change or follows the last is laid on the same period."""
    time_s = np.arange(0, 1.0, 0.01)
    reading = np.where(time_s < 0.295, 50.0, np.where(time_s < 0.595, 80.0, 90.0))
    at, values = updates(time_s, reading, 0.1)
    assert at == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    assert values.tolist() == [50.0] * 3 + [80.0] * 3 + [90.0] * 3
    assert updates(time_s, np.full(100, 7.0), 0.1)[1].tolist() == [7.0] * 10


def test_a_mean_that_tiles_time_gives_the_energy_of_its_stretches_exactly() -> None:
    """With gain, offset and delay undone, windows that end at updates hold what the board drew."""
    sensor = Sensor(0.1, 0.1, 0.0, 0.02, 1.05, 3.0)
    at, power = board()
    starts = np.arange(0.5, 5.0, 0.1)
    came = truth(at, power).between(starts, starts + 0.1)
    told = trace(sensor, starts + 0.1 + 0.02, (came / 0.1 - 3.0) / 1.05, np.ones(len(starts)))
    assert window_energy(told, EXACT, starts, 0.1).mid_j == pytest.approx(came, rel=1e-9)


@pytest.mark.parametrize(
    "shape", [Sensor(0.1, 0.1), Sensor(0.1, 0.025), Sensor(0.02, 0.02, lag_s=0.06), Sensor(0.1, 1.0)]
)
def test_a_fit_finds_level_and_delay(shape) -> None:
    """For a mean, a part-time mean, a lag and a mean over many updates, to half a per cent and 6 ms."""
    made = Sensor(shape.update_s, shape.window_s, shape.lag_s, 0.03, 1.06, 5.0)
    at, power = board(seconds=14.0)
    polled, values = reported(at, power, made)
    found = fit_sensor(*updates(polled, values, shape.update_s), truth(at, power), [shape], 0.08).sensor
    assert found.gain * 200 + found.offset_w == pytest.approx(1.06 * 200 + 5.0, rel=0.005)
    assert found.delay_s == pytest.approx(0.03, abs=0.0061)


def test_the_right_window_explains_the_readings_best() -> None:
    """Among four, the one that the readings were made with is chosen."""
    at, power = board(seconds=14.0)
    polled, values = reported(at, power, Sensor(0.1, 0.05))
    shapes = [Sensor(0.1, window) for window in (0.025, 0.05, 0.1, 0.2)]
    found = fit_sensor(*updates(polled, values, 0.1), truth(at, power), shapes, 0.02)
    assert found.sensor.window_s == 0.05


def test_deconvolution_brings_a_second_long_mean_nearer_to_what_came() -> None:
    """Error of 0.5 s windows at most half of that of the readings as they stand."""
    sensor = Sensor(0.1, 1.0)
    at, power = board(seconds=20.0, seed=3)
    polled, values = reported(at, power, sensor, first_s=1.0)
    stamps, readings = updates(polled, values, 0.1)
    starts = np.arange(3.0, 18.0, 0.5)
    came = truth(at, power).between(starts, starts + 0.5)
    undone = window_energy(trace(sensor, stamps, readings), EXACT, starts, 0.5).mid_j
    taken = window_energy(trace(Sensor(0.1, 0.1), stamps, readings), EXACT, starts, 0.5).mid_j
    assert np.abs(undone - came).mean() < 0.5 * np.abs(taken - came).mean()


@given(
    st.lists(st.floats(0, 500), min_size=3, max_size=60),
    st.sampled_from([Sensor(0.1, 0.1), Sensor(0.1, 0.025), Sensor(0.1, 1.0), Sensor(0.02, 0.02, lag_s=0.06)]),
)
def test_windows_add_up_and_their_ranges_hold_them(values, sensor) -> None:
    """Ten windows of 10 ms hold what one of 100 ms does; nothing is negative; low ≤ mid ≤ high."""
    readings = np.array(values)
    stamps = np.arange(len(readings)) * sensor.update_s
    told = trace(sensor, stamps, readings)
    error = unfitted_error(sensor, LENGTHS, np.full(3, 0.01), 0.05, 5.0)
    starts = told.edge_s[0] + np.arange(int((told.edge_s[-1] - told.edge_s[0]) / 0.01) // 10 * 10) * 0.01
    fine, coarse = window_energy(told, error, starts, 0.01), window_energy(told, error, starts[::10], 0.1)
    assert np.all(told.power_w >= 0)
    whole = np.isfinite(coarse.mid_j)
    assert fine.mid_j.reshape(-1, 10).sum(axis=1)[whole] == pytest.approx(
        coarse.mid_j[whole], rel=1e-9, abs=1e-9
    )
    known = np.isfinite(fine.mid_j)
    assert np.all((fine.low_j[known] >= 0) & (fine.low_j[known] <= fine.mid_j[known] + 1e-9))
    assert np.all(fine.mid_j[known] <= fine.high_j[known])


def test_what_the_readings_do_not_reach_is_absent() -> None:
    """A window beyond the trace is NaN and not zero (C2)."""
    told = trace(Sensor(0.1, 0.1), np.arange(5) * 0.1, np.full(5, 100.0))
    found = window_energy(told, EXACT, np.array([-1.0, 0.1, 0.35]), 0.1)
    assert np.isnan(found.mid_j).tolist() == [True, False, True]


def test_a_sensor_that_sees_a_quarter_of_the_time_says_so_by_its_range() -> None:
    """Of a load that fills half of each second, in step with the sensor, its range holds the truth; a whole sensor's is narrower."""
    at = np.arange(0, 10.0, MS)
    power = np.where((at % 0.1) < 0.05, 400.0, 100.0)
    power[at < 1] = 100.0
    part, whole = Sensor(0.1, 0.025), Sensor(0.1, 0.1)
    widths = {}
    for sensor in (part, whole):
        stamps, readings = updates(*reported(at, power, sensor, first_s=0.3), 0.1)
        busy = np.where(stamps > 1.05, 0.5, 0.0)
        told = trace(sensor, stamps, readings, busy, span_w=300.0)
        starts = np.arange(2.0, 8.0, 1.0)
        error = unfitted_error(sensor, LENGTHS, np.full(3, 0.01), 0.05, 0.0)
        found = window_energy(told, error, starts, 1.0)
        came = truth(at, power).between(starts, starts + 1.0)
        assert np.all((found.low_j <= came) & (came <= found.high_j))
        widths[sensor.seen_frac] = float((found.high_j - found.low_j).mean())
    assert widths[0.25] > 3 * widths[1.0]


def test_a_part_time_sensor_is_wide_where_utilisation_is_not_known() -> None:
    """Nothing says then that power held still between its glimpses."""
    readings = np.concatenate([np.full(10, 50.0), np.full(40, 300.0)])
    stamps = np.arange(50) * 0.1
    assert np.all(trace(Sensor(0.1, 0.025), stamps, readings).hidden_w == 250.0)
    assert np.all(trace(Sensor(0.1, 0.1), stamps, readings).hidden_w == 0.0)
    assert np.all(trace(Sensor(0.1, 0.025), stamps, readings, np.ones(50)).hidden_w == 0.0)


def test_a_calibrated_range_holds_nine_tenths_of_fresh_windows() -> None:
    """On noise alone, calibrated on one half and counted on the other: between 87 % and 93 %."""
    draw = np.random.default_rng(5)
    stamps = np.arange(4001) * 0.1
    power = 200.0 * (1 + draw.normal(0, 0.02, 4000))
    told = trace(Sensor(0.1, 0.1), stamps, np.full(4001, 200.0), np.ones(4001))
    metered = Metered(stamps, np.concatenate([[0.0], np.cumsum(power * 0.1)]))
    starts = stamps[:-1]
    error = calibrate(
        [residuals(told, metered, starts[:2000], 0.1)],
        unfitted_error(Sensor(0.1, 0.1), LENGTHS, np.full(3, 0.5), 0.0, 0.0),
    )
    found = window_energy(told, error, starts[2000:-1], 0.1)
    came = metered.between(starts[2000:-1], starts[2000:-1] + 0.1)
    assert 0.87 < np.mean((found.low_j <= came) & (came <= found.high_j)) < 0.93


def test_too_few_windows_leave_the_family_range() -> None:
    """Nineteen steady windows calibrate nothing."""
    stamps = np.arange(20) * 0.1
    told = trace(Sensor(0.1, 0.1), stamps, np.full(20, 200.0), np.ones(20))
    metered = Metered(stamps, 200.0 * stamps)
    family = unfitted_error(Sensor(0.1, 0.1), LENGTHS, np.full(3, 0.3), 0.0, 0.0)
    few = calibrate([residuals(told, metered, stamps[:15], 0.1)], family)
    assert few.steady_frac.tolist() == [0.3]
    assert few.swing_frac.tolist() == [1.0]


def test_the_level_share_is_what_the_neediest_of_few_devices_needs() -> None:
    """Three devices off by 1, 2 and 4 % of their power: 4 %."""
    stamps = np.arange(101) * 0.1
    told = trace(Sensor(0.1, 0.1), stamps, np.full(101, 100.0), np.ones(101))
    devices = []
    for off in (0.01, 0.04, 0.02):
        metered = Metered(stamps, 100.0 * (1 + off) * stamps)
        devices.append([(residuals(told, metered, stamps[5:90], 0.1), EXACT)])
    assert level_share(devices) == pytest.approx(0.04)


def test_readings_that_jump_rule_out_a_long_window() -> None:
    """From idle to full in one update, the window is one update; in ten equal steps, it may be ten."""
    jump = np.concatenate([np.full(9, 50.0), np.full(9, 250.0)])
    ramp = np.concatenate([np.full(5, 50.0), np.linspace(50.0, 250.0, 11), np.full(5, 250.0)])
    assert longest_window_s(jump, 0.1) == pytest.approx(0.1)
    assert longest_window_s(ramp, 0.1) == pytest.approx(1.0)
    assert longest_window_s(np.full(4, 9.0), 0.1) == np.inf


def test_a_counter_gives_what_it_counted() -> None:
    """Between its steps the power is level; gain applies; a fall is refused with its row."""
    time_s = np.array([0.0, 0.05, 0.1, 0.15, 0.2, 0.3])
    told = counter_trace(time_s, np.array([10.0, 10.0, 30.0, 30.0, 40.0, 70.0]), gain=2.0)
    found = window_energy(told, EXACT, np.array([0.0, 0.1, 0.2]), 0.1)
    assert found.mid_j == pytest.approx([40.0, 20.0, 60.0])
    with pytest.raises(InputError, match=r"falls from 30\.0 to 20\.0 J at row 2"):
        counter_trace(time_s[:3], np.array([0.0, 30.0, 20.0]))
    with pytest.raises(InputError, match="fewer than two steps"):
        counter_trace(time_s[:3], np.array([1.0, 1.0, 2.0]))


def test_a_drivers_log_becomes_energy_with_its_familys_range() -> None:
    """An A100's says that it saw a quarter; what is no log is refused with its row."""
    at, power = board(seconds=8.0)
    polled, values = reported(at, power, Sensor(0.1, 0.025))
    starts = np.arange(1.0, 6.5, 1.0)
    came = truth(at, power).between(starts, starts + 1.0)
    busy = np.ones(len(polled))
    found = driver_energy("A100", "power.draw", polled, values, starts, 1.0)
    known = driver_energy("A100", "power.draw", polled, values, starts, 1.0, busy)
    assert np.all((found.low_j <= came) & (came <= found.high_j))
    assert np.all(found.high_j - found.low_j > 2 * (known.high_j - known.low_j))
    for harm, said in ((np.nan, "reading 3: nan W"), (-5.0, r"reading 3: -5\.0 W")):
        values[3] = harm
        with pytest.raises(InputError, match=said):
            driver_energy("A100", "power.draw", polled, values, starts, 1.0)
    with pytest.raises(InputError, match="times that do not fall"):
        driver_energy("x", "y", np.array([1.0, 0.5]), np.array([1.0, 2.0]), starts, 1.0)
    with pytest.raises(InputError, match="two or more"):
        driver_energy("x", "y", np.zeros(1), np.zeros(1), starts, 1.0)


def test_what_is_no_sensor_and_no_window_is_refused() -> None:
    """Periods and windows are above 0; energy takes two updates; a fit takes ten within the meter's time."""
    with pytest.raises(InputError, match="update period of 0"):
        Sensor(0.0, 0.1)
    with pytest.raises(InputError, match="at least two"):
        trace(Sensor(0.1, 0.1), np.zeros(1), np.zeros(1))
    told = trace(Sensor(0.1, 0.1), np.arange(5) * 0.1, np.full(5, 100.0))
    with pytest.raises(InputError, match="longer than 0"):
        window_energy(told, EXACT, np.zeros(1), 0.0)
    with pytest.raises(InputError, match="do the two overlap"):
        fit_sensor(
            np.arange(50.0),
            np.arange(50.0),
            Metered(np.array([90.0, 99.0]), np.array([0.0, 1.0])),
            [Sensor(1, 1)],
            0.1,
        )
