"""Shares while the engine runs: steps and readings in pieces, against an engine whose every joule is known."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine_run import Run, engine_run
from gridmargin.attribution import LiveShares
from gridmargin.attribution.rule import PARTS
from gridmargin.attribution.rules.shapley import shapley
from gridmargin.engines import Steps, read_steps, steps_of
from gridmargin.meters import Instrument, Reading, RecordedMeter
from gridmargin.reference import profile_for
from gridmargin.vocab import InputError, Interval, Status

PROFILE = profile_for("H100", "llama-3.1-8b")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Steps, list[Reading]]:
    run = engine_run(tmp_path_factory.mktemp("run"), n=40, seconds=60.0)
    readings = [
        Reading("gpu0", one.interval, one.energy_j, one.resolution_s, one.meter, one.status)
        for one in RecordedMeter(run.meter, Instrument(0.5)).readings()
    ]
    return run, read_steps(run.steps), readings


def handed(parts: list[pl.DataFrame]) -> dict[str, float]:
    whole = pl.concat(parts)
    sums = whole.group_by("request_id").agg(pl.sum_horizontal(PARTS).sum().alias("energy_j"))
    return dict(zip(sums["request_id"], sums["energy_j"], strict=True))


def pushed(steps: Steps, readings: list[Reading], cuts: list[float], live: LiveShares) -> list[pl.DataFrame]:
    """Push by time: steps that ended and readings that ended up to each cut."""
    first, last = int(steps.start_us[0]), int(steps.end_us[-1])
    parts, row, at = [], 0, 0
    ends = [round(one.interval.end_utc.timestamp() * 1e6) for one in readings]
    for cut in [*sorted(cuts), 2.0]:
        moment = first + cut * (last - first)
        rows = int(np.searchsorted(steps.end_us, moment, side="right"))
        until = int(np.searchsorted(ends, moment, side="right"))
        parts.append(live.push(steps.take(np.arange(row, rows)) if rows > row else None, readings[at:until]))
        row, at = rows, until
    return [*parts, live.finish()]


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.floats(0, 1), max_size=12))
def test_however_it_is_cut_every_joule_is_a_requests_or_between_steps(served, cuts: list[float]) -> None:
    run, steps, readings = served
    live = LiveShares(PROFILE, shapley, 300, patience_s=5.0)
    found = handed(pushed(steps, readings, cuts, live))
    assert set(found) == set(run.share_j)
    assert sum(found.values()) + live.between_j == pytest.approx(run.whole_j, rel=1e-9)
    assert live.metered_j == pytest.approx(run.whole_j, rel=1e-9)
    assert live.conservation_error() < 1e-9
    assert live.silent_s < 0.01


def test_shares_come_near_the_truth_while_the_cost_is_being_learned(served) -> None:
    run, steps, readings = served
    live = LiveShares(PROFILE, shapley, 300, patience_s=5.0)
    found = handed(pushed(steps, readings, list(np.linspace(0, 1, 60)), live))
    off = np.array([found[name] / true - 1 for name, true in run.share_j.items()])
    assert np.median(np.abs(off)) < 0.03
    assert np.abs(off).max() < 0.25


def test_steps_that_no_reading_tells_of_are_settled_without_energy(served) -> None:
    """A meter that vanishes: after the wait its steps have no joules, and the silence is counted."""
    _, steps, readings = served
    live = LiveShares(PROFILE, shapley, 300, wait_s=2.0, patience_s=1.0)
    half = len(readings) // 2
    found = pushed(steps, readings[:half], list(np.linspace(0, 1, 60)), live)
    told = sum(one.energy_j for one in readings[:half])
    assert sum(handed(found).values()) + live.between_j == pytest.approx(told, rel=1e-9)
    assert live.silent_s > 10


def test_readings_without_steps_are_between_steps() -> None:
    live = LiveShares(PROFILE, shapley, 300, wait_s=2.0)
    start = datetime(2026, 7, 15, tzinfo=UTC)
    for second in range(10):
        reading = Reading(
            "gpu0", Interval.starting(start.replace(second=second), 1), 123.0, 1.0, "m", Status.REPORTED
        )
        live.push(None, [reading])
    live.finish()
    assert live.between_j == pytest.approx(1230.0)


def one_step(start_us: int, devices: tuple[str, ...] = ("gpu0",)) -> Steps:
    return steps_of(
        {"start_us": [start_us], "end_us": [start_us + 1000]}, groups=[devices], origin="test", member_row=[0],
        members={"member": [0], "member_decode": [1]}, request_ids=["a"],
    )  # fmt: skip


def test_what_comes_twice_or_out_of_order_is_refused() -> None:
    live = LiveShares(PROFILE, shapley, 300)
    live.push(one_step(5000))
    with pytest.raises(InputError, match="steps of gpu0 begin 5000 µs before the last that came ended"):
        live.push(one_step(1000))
    reading = Reading(
        "gpu0", Interval.starting(datetime(2026, 7, 15, tzinfo=UTC), 1), 1.0, 1.0, "m", Status.REPORTED
    )
    live.push(None, [reading])
    with pytest.raises(InputError, match="readings of gpu0 begin 1000000 µs before"):
        live.push(None, [reading])


def test_a_reading_of_one_device_of_a_group_is_refused() -> None:
    live = LiveShares(PROFILE, shapley, 300)
    live.push(one_step(0, ("gpu0", "gpu1")))
    reading = Reading(
        "gpu0", Interval.starting(datetime(2026, 7, 15, tzinfo=UTC), 1), 1.0, 1.0, "m", Status.REPORTED
    )
    with pytest.raises(InputError, match=r"gpu0 steps together with others \(gpu0\+gpu1\)"):
        live.push(None, [reading])


def test_what_is_kept_does_not_grow_with_time() -> None:
    """A quarter of an hour of steps, a request a second: held are the wait's and the patience's worth."""
    live = LiveShares(PROFILE, shapley, 300, wait_s=5.0, patience_s=5.0)
    start = datetime(2026, 7, 15, tzinfo=UTC)
    origin = int(start.timestamp() * 1e6)
    sizes = []
    for second in range(900):
        n = 20
        at = origin + second * 1_000_000 + np.arange(n) * 50_000
        steps = steps_of(
            {"start_us": at, "end_us": at + 50_000}, groups=[("gpu0",)], origin="test", member_row=range(n),
            members={"member": [0] * n, "member_decode": [1] * n}, request_ids=[f"q{second}"],
        )  # fmt: skip
        moment = datetime.fromtimestamp(start.timestamp() + second, UTC)
        live.push(steps, [Reading("gpu0", Interval.starting(moment, 1), 200.0, 1.0, "m", Status.REPORTED)])
        (group,) = live._groups.values()
        sizes.append(live.tally.held.height + len(group.end_us) + (len(group.steps) if group.steps else 0))
    assert max(sizes[300:]) <= max(sizes[:300])
    assert live.conservation_error() < 1e-9
