"""Requests, tenants, endpoints and service lines add up to the meter at every level, replayed and metered (C4)."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmargin.attribution import (
    CHARGES,
    ENERGY_PARTS,
    GIVEN,
    RULES,
    Instance,
    Measured,
    Replay,
    charge_by_meter,
    provisioned_idle,
)
from gridmargin.engines import Steps, steps_of
from gridmargin.ledger import Factors
from gridmargin.meters import Reading
from gridmargin.pipeline.accountant import Accountant
from gridmargin.receipts import Overheads, ReceiptWriter, rollup
from gridmargin.reference import profile_for
from gridmargin.requests import OUTCOMES, RequestBatch
from gridmargin.vocab import Interval, Kind, Range, Status

T0 = datetime(2026, 7, 15, 18, tzinfo=UTC)
T0_US = int(T0.timestamp()) * 1_000_000
SLOT_S = 300
PROFILE = profile_for("H100", "llama-3.1-8b")
LEVELS = ([], ["tenant"], ["endpoint"], ["service"], ["outcome"], ["hour"], ["tenant", "endpoint"],
          ["tenant", "endpoint", "service", "outcome"])  # fmt: skip


def of_slots(first_s: int, end_s: int) -> tuple[Factors, Factors]:
    """Give a factor to every slot that is asked for: 1 g/kWh."""
    start = np.arange(first_s, end_s, SLOT_S, dtype=np.int64)
    one = np.ones(len(start))
    made = [
        Factors("US-ERCO", kind, "test", SLOT_S, start, one, one, one, np.arange(len(start)),
                np.full(len(start), "reported"), np.full(len(start), "observed"))
        for kind in (Kind.MARGINAL, Kind.AVERAGE)
    ]  # fmt: skip
    return made[0], made[1]


def drawn_requests(random: np.random.Generator, n: int, spread_s: float) -> RequestBatch:
    """Requests of few tenants, endpoints, service lines and outcomes, some of them not told."""

    def words(*known: str) -> pa.Array:
        return pa.array(random.choice(np.array([*known, None], object), n).tolist(), pa.string())

    return RequestBatch(
        row=np.arange(n),
        arrival_us=T0_US + np.sort(random.integers(0, int(spread_s * 1e6), n)),
        prompt_tokens=random.integers(0, 3000, n).astype(np.int32),
        generated_tokens=random.integers(0, 300, n).astype(np.int32),
        words={
            "request_id": pa.array([f"q{i}" for i in range(n)]), "tenant": words("red", "blue"),
            "endpoint": words("chat", "images"), "service": words("search"), "outcome": words(*OUTCOMES),
        },
    )  # fmt: skip


def written(folder: Path, replay: Replay | Measured, batch: RequestBatch, idle, charge: str) -> None:
    accountant = Accountant(
        "run1", "US-ERCO", PROFILE, replay, of_slots, Overheads(Range(1, 1, 1), Range(1, 1, 1), None),
        charged=CHARGES[charge], idle=idle,
    )  # fmt: skip
    with ReceiptWriter(folder, "run1") as writer:
        for table in (accountant.push(batch), accountant.finish()):
            writer.write(table, "US-ERCO")
        writer.commit({"run_id": "run1"})


def sums_at(folder: Path, keys: list[str], charge: str) -> dict[str, float]:
    """Add a level up, and hold each of its rows to its own parts."""
    rows = rollup(folder, keys)
    for row in rows:
        charged_j = sum(row[f"{part}_j"] for part in CHARGES[charge])
        assert row["charged_energy_j"] == pytest.approx(charged_j, rel=1e-9, abs=1e-9)
        # One gram a kilowatt-hour, nothing between device and busbar.
        assert row["marginal_gco2"]["mid"] == pytest.approx(charged_j / 3.6e6, rel=1e-9, abs=1e-15)
    return {part: sum(row[f"{part}_j"] for row in rows) for part in ENERGY_PARTS}


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10_000), n=st.integers(1, 40), spread_s=st.floats(1, 4000), n_devices=st.integers(1, 3),
    charge=st.sampled_from(list(CHARGES)),
)  # fmt: skip
def test_every_level_of_a_replayed_run_is_the_meter(
    seed: int, n: int, spread_s: float, n_devices: int, charge: str
) -> None:
    """All five parts of what steps draw, and idle with nobody active, of which many intervals hold nothing else."""
    batch = drawn_requests(np.random.default_rng(seed), n, spread_s)
    first, second = (Replay(PROFILE, SLOT_S, 8, n_devices) for _ in range(2))
    first.push(batch)
    first.finish()
    with tempfile.TemporaryDirectory() as folder:
        written(Path(folder), second, batch, provisioned_idle(first.readings()), charge)
        meter_j = sum(window.energy_j for window in second.readings())
        idle_j = sum(window.provisioned_idle_j for window in second.readings())
        for keys in LEVELS:
            found = sums_at(Path(folder), keys, charge)
            assert sum(found.values()) == pytest.approx(meter_j, rel=1e-9)
            assert found["provisioned_idle"] == pytest.approx(idle_j, rel=1e-9, abs=1e-9)


def drawn_steps(random: np.random.Generator, n_requests: int, devices: list[str]) -> Steps:
    """Steps with gaps over four intervals of which the third has none, some members not known by id."""
    parts, rows = [], []
    for number, _ in enumerate(devices):
        n = int(random.integers(1, 40))
        start_s = np.sort(random.uniform(0, 1200, n))
        start_s[0] /= 2.0
        start_s = start_s[(start_s < 600) | (start_s >= 900)]
        length_s = np.minimum(np.diff(start_s, append=1200.0), random.exponential(8.0, len(start_s)))
        parts += [(number, a, a + length) for a, length in zip(start_s, length_s, strict=True)]
    for row in range(len(parts)):
        rows += [
            (row, who) for who in random.choice(n_requests, random.integers(0, n_requests + 1), replace=False)
        ]
    row, who = np.array(rows, np.int64).reshape(-1, 2).T
    known = np.bincount(row, minlength=len(parts))
    return steps_of(
        {
            "group": np.array([part[0] for part in parts]),
            "start_us": T0_US + np.array([round(part[1] * 1e6) for part in parts], np.int64),
            "end_us": T0_US + np.array([round(part[2] * 1e6) for part in parts], np.int64),
            "n_active": known + random.integers(0, 2, len(parts)),
        },
        groups=[(name,) for name in devices], origin="test", member_row=row,
        members={
            "member": who, "member_prefill": random.integers(0, 200, len(row)),
            "member_decode": random.integers(0, 3, len(row)), "member_work": random.integers(0, 2, len(row)),
        },
        request_ids=[f"q{i}" for i in range(n_requests)],
    )  # fmt: skip


def drawn_readings(random: np.random.Generator, devices: list[str]) -> list[Reading]:
    """Ten seconds each, before, between and after the steps."""
    return [
        Reading(
            name, Interval.starting(T0 + timedelta(seconds=at), 10), float(random.uniform(0, 5000)), 10.0, "t",
            Status.REPORTED,
        )
        for name in devices
        for at in range(-300, 1800, 10)
    ]  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000), n=st.integers(1, 12), n_unlisted=st.integers(0, 3),
    rule=st.sampled_from(list(RULES)), charge=st.sampled_from(list(CHARGES)), on_one_board=st.booleans(),
)  # fmt: skip
def test_every_level_of_a_metered_run_and_what_is_nobodys_are_the_meter(
    seed: int, n: int, n_unlisted: int, rule: str, charge: str, on_one_board: bool
) -> None:
    """Two devices, or two instances on one board; what the rule leaves and what the log omits keep their part of idle."""
    random = np.random.default_rng(seed)
    batch = drawn_requests(random, n, 1200)
    devices = ["gpu0/a", "gpu0/b"] if on_one_board else ["gpu0", "gpu1"]
    steps = drawn_steps(random, n + n_unlisted, devices)
    readings = drawn_readings(random, ["gpu0"] if on_one_board else devices)
    parts = [Instance(name, 3 / 7, 4 / 8) for name in devices] if on_one_board else []
    measured = Measured(charge_by_meter(steps, readings, PROFILE, instances=parts), RULES.get(rule), SLOT_S)
    windows = measured.readings()
    meter_j = sum(reading.energy_j for reading in readings)
    assert sum(window.energy_j for window in windows) == pytest.approx(meter_j, rel=1e-9)
    steps_j = sum(window.dynamic_j + window.loaded_idle_j for window in windows)
    idle_j = sum(window.provisioned_idle_j for window in windows)
    with tempfile.TemporaryDirectory() as folder:
        written(Path(folder), measured, batch, provisioned_idle(windows), charge)
        for keys in LEVELS:
            found = sums_at(Path(folder), keys, charge)
            given_j = sum(found[part] for part in GIVEN)
            nobodys_j = measured.by_rule_j + measured.unlisted_j
            assert given_j + nobodys_j == pytest.approx(steps_j, rel=1e-9, abs=1e-9)
            if nobodys_j < 1e-9 * steps_j and steps_j > 0:
                assert found["provisioned_idle"] == pytest.approx(idle_j, rel=1e-9)
            assert found["provisioned_idle"] <= idle_j * (1 + 1e-9)
