"""What instances of one board drew: conserved, with a range, and nothing from nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.attribution import Instance, charge_by_meter, split_board
from gridmargin.engines import Steps, steps_of
from gridmargin.meters import Reading
from gridmargin.reference import profile_for
from gridmargin.vocab import InputError, Interval, Status

T0 = datetime(2026, 7, 15, 18, tzinfo=UTC)
T0_US = int(T0.timestamp()) * 1_000_000
PROFILE = profile_for("H100", "llama-3.1-8b")
HALVES = [Instance("GPU-0/MIG-1", 3 / 7, 4 / 8), Instance("GPU-0/MIG-2", 3 / 7, 4 / 8)]

JOULES = st.floats(0, 1e6)
WINDOW = st.tuples(JOULES, JOULES, st.lists(st.tuples(JOULES, st.floats(0, 10)), min_size=3, max_size=3))


@given(
    windows=st.lists(WINDOW, min_size=1, max_size=6),
    compute=st.lists(st.floats(0.05, 1 / 3), min_size=3, max_size=3),
    memory=st.lists(st.floats(0.05, 1 / 3), min_size=3, max_size=3),
)
def test_instances_and_what_is_nobodys_are_the_reading_and_the_range_holds_the_split(
    windows: list, compute: list, memory: list
) -> None:
    energy = np.array([window[0] for window in windows])
    idle = np.array([window[1] for window in windows])
    dynamic, busy = np.array([window[2] for window in windows]).transpose(2, 1, 0)
    parts = [Instance(f"g/{i}", c, m) for i, (c, m) in enumerate(zip(compute, memory, strict=True))]
    found = split_board(energy, idle, dynamic, busy, parts)
    assert found.mid_j.sum(axis=0) + found.unattributed_j == pytest.approx(energy, rel=1e-9, abs=1e-9)
    assert (found.low_j >= 0).all()
    assert (found.low_j <= found.mid_j).all()
    assert (found.mid_j <= found.high_j).all()
    assert (found.unattributed_j >= 0).all()
    assert (found.high_j <= energy * (1 + 1e-12)).all()


def test_idle_goes_by_slices_and_the_rest_by_what_steps_cost() -> None:
    """A board of 100 W for 10 s, 60 W of it at rest; one instance's steps cost three times the other's."""
    found = split_board(
        np.array([1000.0]), np.array([600.0]), np.array([[30.0], [10.0]]), np.array([[5.0], [5.0]]), HALVES
    )
    idle = 600 * 3 / 7
    assert found.mid_j[:, 0] == pytest.approx([idle + 300, idle + 100])
    assert found.unattributed_j[0] == pytest.approx(600 / 7)
    # Equal slices busy for equal times could be defended as well, and idle by halves of the memory.
    assert (found.low_j[0, 0], found.high_j[0, 0]) == pytest.approx((idle + 200, 300 + 300))
    assert (found.low_j[1, 0], found.high_j[1, 0]) == pytest.approx((idle + 100, 300 + 200))


def test_instances_that_are_alike_get_alike_and_one_that_holds_all_gets_all() -> None:
    one = np.array([[10.0], [10.0]])
    alike = split_board(np.array([1000.0]), np.array([600.0]), one, one, HALVES)
    assert alike.mid_j[0] == alike.mid_j[1]
    whole = split_board(np.array([1000.0]), np.array([600.0]), one[:1], one[:1], [Instance("g/a", 1.0, 1.0)])
    assert whole.mid_j[0, 0] == whole.low_j[0, 0] == whole.high_j[0, 0] == pytest.approx(1000)
    assert whole.unattributed_j[0] == pytest.approx(0)


def test_what_a_board_draws_while_no_instance_steps_is_nobodys() -> None:
    none = np.zeros((2, 1))
    found = split_board(np.array([1000.0]), np.array([600.0]), none, none, HALVES)
    assert found.mid_j[:, 0] == pytest.approx([600 * 3 / 7] * 2)
    assert found.unattributed_j[0] == pytest.approx(400 + 600 / 7)


def two_instances(seed: int = 3) -> tuple[Steps, list[Reading], dict[str, float]]:
    """A board whose every joule is known: idle 119 W, of which a seventh is of no instance, and steps of two."""
    random = np.random.default_rng(seed)
    drawn, rows, power = {}, [], np.full(120_000, 119.0)  # by millisecond, in W
    for group, tokens in enumerate((12, 3)):
        at = 0
        mine = 51.0 * 120
        while at < 115_000:
            length = int(random.integers(20, 60)) * 10
            joules = (
                PROFILE.fixed_j_per_step * length / 10 + PROFILE.j_per_decode_token * tokens * length / 10
            )
            rows.append((group, at, at + length, tokens * length / 10, length / 10))
            power[at : at + length] += joules / (length / 1000)
            mine += joules
            at += length + int(random.integers(0, 900))
        drawn[HALVES[group].name] = mine
    group, start, end, decoded, n_steps = np.array(rows).T
    steps = steps_of(
        {
            "group": group, "start_us": T0_US + (start * 1000).astype(np.int64),
            "end_us": T0_US + (end * 1000).astype(np.int64), "n_steps": n_steps,
        },
        groups=[(one.name,) for one in HALVES], origin="test", member_row=np.arange(len(rows)),
        members={"member": group.astype(np.int64), "member_decode": decoded}, request_ids=["a", "b"],
    )  # fmt: skip
    readings = [
        Reading("GPU-0", Interval.starting(T0 + timedelta(seconds=s), 1), float(power[s * 1000 : s * 1000 + 1000].sum() / 1000),
                1.0, "t", Status.REPORTED)
        for s in range(120)
    ]  # fmt: skip
    return steps, readings, drawn


def test_steps_on_an_instance_are_charged_from_the_meter_of_its_board() -> None:
    """Of a board whose every joule is known each instance gets its own to 2 %, and the range says how sure that is."""
    steps, readings, drawn = two_instances()
    found = charge_by_meter(steps, readings, PROFILE, instances=HALVES)
    by_group = np.bincount(steps.group, found.energy.total_j, 2)
    meter = sum(reading.energy_j for reading in readings)
    assert by_group.sum() + found.between_j.sum() + found.unused_j.sum() == pytest.approx(meter, rel=1e-9)
    assert found.unused_j.sum() == pytest.approx(119 * 120 / 7, rel=0.05)
    assert by_group.sum() + found.between_j.sum() == pytest.approx(sum(drawn.values()), rel=0.01)
    idle_of_steps = 51 * np.bincount(steps.group, steps.duration_s, 2)
    true = np.array(list(drawn.values())) - 51 * 120 + idle_of_steps
    assert by_group == pytest.approx(true, rel=0.02)
    assert found.how == "board"
    assert 0.05 < found.high_frac < 0.6


@pytest.mark.parametrize(
    ("instances", "said"),
    [
        ([], "GPU-0/MIG-1 is a part of GPU-0, whose meter sees all of it"),
        ([*HALVES, Instance("GPU-0/MIG-3", 2 / 7, 1 / 8)], "hold 1.143 of its compute together"),
        ([*HALVES, HALVES[0]], "GPU-0/MIG-1 stands twice"),
        ([*HALVES, Instance("GPU-9/MIG-1", 1 / 7, 1 / 8)], "no reading of GPU-9"),
    ],
)
def test_instances_that_cannot_be_are_refused(instances: list, said: str) -> None:
    steps, readings, _ = two_instances()
    with pytest.raises(InputError, match=said):
        charge_by_meter(steps, readings, PROFILE, instances=instances)


def test_a_meter_of_one_board_need_not_name_it() -> None:
    steps, readings, _ = two_instances()
    nameless = [replace(reading, device="meter.csv") for reading in readings]
    named, found = (charge_by_meter(steps, r, PROFILE, instances=HALVES) for r in (readings, nameless))
    assert found.energy.total_j.tolist() == named.energy.total_j.tolist()


def test_a_board_that_is_split_stands_for_no_other_device() -> None:
    """Steps on another device want a reading of their own, though the meter names one device alone."""
    steps, readings, _ = two_instances()
    moved = replace(steps, groups=(("GPU-0/MIG-1",), ("GPU-7",)))
    with pytest.raises(InputError, match="no reading of GPU-7"):
        charge_by_meter(moved, readings, PROFILE, instances=HALVES[:1])


@pytest.mark.parametrize(
    ("name", "frac", "said"),
    [("MIG-1", 0.5, "names no board"), ("g/a", 1.5, "1.5 of its"), ("g/a", 0, "0 of")],
)
def test_an_instance_names_its_board_and_holds_a_part_of_it(name: str, frac: float, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Instance(name, frac, frac)
