"""Backtest `commitment`: what the fast and the proven path cost on recorded instances, against a cost none undercuts."""

from __future__ import annotations

import math
import time
from importlib.metadata import version
from typing import Any

from gridmargin.evaluation.ask import Ask
from gridmargin.evaluation.scores import Row, report
from gridmargin.grid import CommitmentCase, CommitmentSchedule, commitment_case
from gridmargin.marginal import COMMITMENTS, verdict
from gridmargin.sources import parse_uc, uc_files
from gridmargin.vocab import ConservationError, InputError, UnknownNameError

UNIT = "USD"
"""Of mae and bias: what a schedule costs above the proven bound, over the whole horizon."""

FAST_RUNS = 3
"""The quickest counts, since another process may take the core for as long as the fast path lasts."""


def run(ask: Ask) -> dict[str, Any]:
    """Commit each instance twice and score both schedules against the bound; `region` names one instance.

    Raises
    ------
    InputError
        If there is no instance, or none of that name.
    ConservationError
        If a schedule breaks a limit of its case.
    """
    started = time.perf_counter()
    why = "commits whole instances, which have no date"
    ask.refuse("commitment", why, "avert", "train_year", "test_year", "test_from", "test_to", "horizon_min")
    cases = [commitment_case(parse_uc(path.name, path.read_bytes())) for path in uc_files(ask.data)]
    if not cases:
        raise InputError(f"no unit-commitment instance of pglib-uc (*.json) under {ask.data}")
    if ask.region is not None:
        names = tuple(case.name for case in cases)
        if ask.region not in names:
            raise UnknownNameError("instance of the commitment backtest", ask.region, names)
        cases = [case for case in cases if case.name == ask.region]
    rows = [row for case in sorted(cases, key=lambda case: case.n_units) for row in instance_rows(case)]
    versions = {name: version(name) for name in ("gridmargin", "highspy", "numba")}
    return report("commitment", versions, time.perf_counter() - started, rows)


def instance_rows(case: CommitmentCase) -> list[Row]:
    """Give one row a path; both are judged by the independent check."""
    find_fast, find_exact = COMMITMENTS.get("fast"), COMMITMENTS.get("exact")
    fast = find_fast(case)  # compiled and cached before the clock starts
    fast_s = math.inf
    for _ in range(FAST_RUNS):
        start = time.perf_counter()
        fast = find_fast(case)
        fast_s = min(fast_s, time.perf_counter() - start)
    start = time.perf_counter()
    exact = find_exact(case)
    exact_s = time.perf_counter() - start
    if exact.bound is None:
        raise InputError(f"case {case.name}: the exact path proved no bound")
    rows = []
    for name, schedule, seconds in (("fast", fast.schedule, fast_s), ("exact", exact.schedule, exact_s)):
        cost = _checked_cost(case, schedule, name)
        above = cost - exact.bound
        rows.append(
            {
                "region": case.name,
                "estimator": f"commitment-{name}",
                "reference": f"{'lp' if exact.proof == 'lagrangian' else 'milp'}-bound",
                "unit": UNIT,
                "n": case.n_units,
                "n_hours": case.n_hours,
                "cost": cost,
                "bound": exact.bound,
                "mae": abs(above),
                "bias": above,
                "gap_frac": above / cost,
                "above_exact_frac": cost / exact.cost - 1.0,
                "seconds": seconds,
                "baselines": {},
            }
        )
    return rows


def _checked_cost(case: CommitmentCase, schedule: CommitmentSchedule, name: str) -> float:
    found = verdict(case, schedule)
    if found.broken:
        raise ConservationError(f"case {case.name}, {name} path: {found.broken[0]}")
    return found.cost
