"""A stream's idle with nobody active is on the receipts once they are written, all of it, part by part."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gridmargin.pipeline import Job, Stream
from gridmargin.receipts import latest_receipts, rollup
from gridmargin.reference import profile_for
from gridmargin.vocab import InputError
from gridmargin.wiring import choose_source, open_workplace, read_settings

T0 = datetime(2026, 7, 15, 18, 40, tzinfo=UTC)
DEVICES = 4


def job(charge: str = "loaded") -> Job:
    return Job("US-ERCO", "regression", profile_for("H100", "llama-3.1-8b"), n_devices=DEVICES, charge=charge)


def test_a_stream_hands_all_of_its_idle_out_as_it_writes(tmp_path: Path) -> None:
    """Over an hour's edge, written every ten minutes: what is written adds up to what the devices drew until then."""
    settings = read_settings(None)
    with open_workplace(tmp_path, settings) as place:
        factory = place.factory(choose_source("reference", settings), "US-ERCO", T0, ("regression",))
        stream = Stream(job(), factory, tmp_path, T0)
        for minute in range(0, 41, 5):
            shown = stream.tick(T0 + timedelta(minutes=minute, seconds=1))
            assert all("provisioned_idle" not in receipt.energy_j for receipt in shown)
            stream.save(T0 + timedelta(minutes=minute))
        stream.close()
        windows = stream._accountant.replay.readings()
    idle_j = sum(window.provisioned_idle_j for window in windows)
    steps_j = sum(window.dynamic_j + window.loaded_idle_j for window in windows)
    (whole,) = rollup(tmp_path)
    assert idle_j > 0
    assert len(list(tmp_path.glob("runs/s*.json"))) > 2
    assert whole["provisioned_idle_j"] == pytest.approx(idle_j, rel=1e-9)
    assert whole["charged_energy_j"] == pytest.approx(steps_j, rel=1e-9)
    assert whole["n_provisioned_idle_unknown"] == 0
    by_tenant = rollup(tmp_path, ["tenant"])
    assert sum(row["provisioned_idle_j"] for row in by_tenant) == pytest.approx(idle_j, rel=1e-9)
    assert all("provisioned_idle" in receipt.energy_j for receipt in latest_receipts(tmp_path, 50))


def test_a_policy_that_charges_idle_is_refused_for_a_stream(tmp_path: Path) -> None:
    settings = read_settings(None)
    with open_workplace(tmp_path, settings) as place:
        factory = place.factory(choose_source("reference", settings), "US-ERCO", T0, ("regression",))
        with pytest.raises(InputError, match="a stream charges by loaded, not provisioned"):
            Stream(job("provisioned"), factory, tmp_path, T0)
