"""Backtest `commitment`: published unit commitment instances against the bound of their relaxation."""

from __future__ import annotations

import contextlib
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gridmargin.evaluation.ask import Ask
from gridmargin.evaluation.scores import Row, report
from gridmargin.grid import CommitmentCase
from gridmargin.marginal import commit, commit_fast, relax
from gridmargin.sources import read_uc_instance
from gridmargin.vocab import InputError, NotFoundError, UnknownNameError

SEARCH_S = 240.0
"""When the search for a cheaper schedule stops, beside the relaxation."""


def instances(data: Path) -> list[CommitmentCase]:
    """Read every instance under a data folder, fewest units first.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    folders = (data, data / "uc_reference", data / "grid" / "uc_reference")
    found = [path for folder in folders for path in folder.glob("*.json") if _looks_right(path)]
    if not found:
        raise NotFoundError(f"{data} holds no unit commitment instance: give the folder of uc_reference")
    cases = [read_uc_instance(path.stem, path.read_bytes()) for path in sorted(found)]
    return sorted(cases, key=lambda case: (len(case.unit_names), case.name))


def _looks_right(path: Path) -> bool:
    return b'"thermal_generators"' in path.read_bytes()


def run(ask: Ask) -> dict[str, Any]:
    """Schedule each instance the fast and the exact way and score both against the bound of the relaxation.

    Raises
    ------
    UnknownNameError
        If there is no instance of the name that was asked for.
    """
    started = time.perf_counter()
    ask.refuse(
        "commitment", "reads whole instances", "avert", "train_year", "test_year", "test_from", "test_to",
        "horizon_min",
    )  # fmt: skip
    cases = instances(ask.data)
    if ask.region is not None:
        names = tuple(case.name for case in cases)
        if ask.region not in names:
            raise UnknownNameError("instance of the commitment backtest", ask.region, names)
        cases = [case for case in cases if case.name == ask.region]
    rows = [_row(case) for case in cases]
    versions = {"gridmargin": version("gridmargin"), "highspy": version("highspy")}
    return report("commitment", versions, time.perf_counter() - started, rows)


def _row(case: CommitmentCase) -> Row:
    """Score one instance; what was not found is left out."""
    row: Row = {
        "region": case.name, "reference": "lp-bound", "n": len(case.unit_names), "unit": "USD",
        "estimator": "commitment", "baselines": {},
    }  # fmt: skip
    began = time.perf_counter()
    relaxed = relax(case)
    row["bound"] = relaxed.bound
    try:
        exact = commit(case, time_limit_s=SEARCH_S, relaxed=relaxed)
    except InputError as why:
        row["exact_not_found"] = str(why)
    else:
        row |= {"cost": exact.cost, "gap_frac": exact.gap_frac}
    row["exact_seconds"] = time.perf_counter() - began
    with contextlib.suppress(InputError):
        commit_fast(case, rounds=2)
    began = time.perf_counter()
    try:
        fast = commit_fast(case)
    except InputError as why:
        row["fast_not_found"] = str(why)
    else:
        row |= {"fast_cost": fast.cost, "fast_gap_frac": (fast.cost - relaxed.bound) / fast.cost}
    row["fast_seconds"] = time.perf_counter() - began
    return row
