"""A receipt's energy, worked out again: the whole log is replayed as the run's manifest says, and one request is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gridmargin.attribution import GIVEN, Completed, Measured, ProvisionedIdle, Replay, provisioned_idle
from gridmargin.pipeline.idling import replayed_idle
from gridmargin.pipeline.measuring import evidence_of, measure, profile_of
from gridmargin.reference import Profile
from gridmargin.requests import RequestLog, is_unchanged

LARGEST = 2_000_000
"""Longest log that is replayed to explain one receipt: some ten seconds. [requests]"""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What the replay says of one request.

    Attributes
    ----------
    energy_j : mapping of str to float
        The parts, as on the receipt. [J]
    marginal_energy_j : float
        [J]
    latency_s : float
        [s]
    """

    energy_j: Mapping[str, float]
    marginal_energy_j: float
    latency_s: float


def replayed_again(run: Mapping[str, Any], log_row: int, arrival_utc: datetime) -> Replayed | str:
    """Replay a run's log up to one request.

    Returns
    -------
    Replayed or str
        The reason, where it cannot be replayed.
    """
    described, how = run["log"], run["replay"]
    if described["kind"] != "file":
        return "the stream's requests are not kept"
    if "interval_s" not in how:
        return "the run is from a version that did not note its interval"
    path = Path(described["path"])
    if not is_unchanged(path, described["sha256"]):
        return f"the log {path.name} is no longer there or has changed"
    if described["n_requests"] > LARGEST:
        return f"a log of {described['n_requests']:,} requests is not replayed to explain one"
    log = RequestLog(
        path, described["sha256"], described["n_requests"], arrival_utc, arrival_utc,
        described["shift_s"], described["columns"],
    )  # fmt: skip
    profile = profile_of(run["profile"])
    replay: Replay | Measured
    if run.get("evidence"):
        for name in ("steps", "meter"):
            file = run["evidence"].get(name)
            if file and not is_unchanged(Path(file["path"]), file["sha256"]):
                return f"the {name} {Path(file['path']).name} are no longer there or have changed"
        replay = measure(evidence_of(run["evidence"]), profile, how["interval_s"])
        idle = provisioned_idle(replay.readings())
    else:
        assert isinstance(profile, Profile)
        new = partial(Replay, profile, how["interval_s"], how["max_batch"], how["devices"])
        replay, idle = new(), replayed_idle(log, new())
    for batch in log.batches():
        found = _of_row(replay.push(batch), log_row, idle)
        if found is not None:
            return found
    found = _of_row(replay.finish(), log_row, idle)
    return found if found is not None else f"{path.name} has no row {log_row}"


def _of_row(done: Completed, log_row: int, idle: ProvisionedIdle) -> Replayed | None:
    at = np.flatnonzero(done.batch.row == log_row)
    if not len(at):
        return None
    n = int(at[0])
    mine = done.slice_request == n
    slices = {part: getattr(done, f"{part}_j")[mine] for part in GIVEN}
    parts = {part: float(values.sum()) for part, values in slices.items()}
    given_j = np.sum(list(slices.values()), axis=0)
    parts["provisioned_idle"] = float(idle.allot(done.slot_start_s[mine], given_j).sum())
    return Replayed(
        energy_j=parts,
        marginal_energy_j=parts["prefill"] + parts["decode"] + parts["work"] + float(done.alone_j[n]),
        latency_s=float(done.end_s[n] - done.batch.arrival_us[n] / 1e6),
    )
