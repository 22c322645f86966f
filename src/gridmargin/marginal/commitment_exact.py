"""Commitment with a proven gap: a schedule, and a cost that no schedule can undercut.

Small cases go to branch and bound whole. Large ones start from the fast path; the hours on which its price rounds did
not agree are left free and the others fixed (relaxation-enforced neighbourhood; Danna, Rothberg and Le Pape 2005,
doi:10.1007/s10107-004-0518-7), and the bound is the Lagrangian one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import highspy
import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import CommitmentCase, CommitmentSchedule
from gridmargin.marginal.commitment_bound import lower_bound
from gridmargin.marginal.commitment_fast import FastResult, fast_commitment
from gridmargin.marginal.commitment_model import CommitmentModel, commitment_model, schedule_of
from gridmargin.marginal.commitment_solver import solver_of
from gridmargin.vocab import InputError

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]

WHOLE_UNIT_HOURS = 1_000
"""Up to so many binaries a case is solved whole."""

PRICE_ROUNDS, TRIALS = 300, 1_000
UNDECIDED = (0.02, 0.98)
"""An hour is left free where a unit was on in a share of the price rounds between these."""

PRICE_TOLERANCE = 1e-3
BOUND_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class ExactResult:
    """A schedule, and how far from the best it can be at most.

    Attributes
    ----------
    schedule : CommitmentSchedule
    cost, bound : float
        What it costs, and what any schedule costs at least, in the case's currency.
    proof : str
        `milp` where branch and bound proved the bound, `lagrangian` where prices did.
    """

    schedule: CommitmentSchedule
    cost: float
    bound: float
    proof: str

    @property
    def gap_frac(self) -> float:
        """(cost − bound) / cost."""
        return (self.cost - self.bound) / abs(self.cost) if self.cost != self.bound else 0.0


def exact_commitment(
    case: CommitmentCase,
    gap_frac: float = 1e-4,
    limit_s: float = 100.0,
    whole_unit_hours: int = WHOLE_UNIT_HOURS,
) -> ExactResult:
    """Commit a fleet, and prove how good the schedule is.

    Parameters
    ----------
    gap_frac : float
        Branch and bound stops at this. [1]
    limit_s : float
        Most time for branch and bound, and for the relaxation that gives prices; the rest takes seconds. [s]
    whole_unit_hours : int
        Largest case, in units times hours, that is solved whole.

    Raises
    ------
    InputError
        If no schedule can serve, or none was found within the limit.
    """
    model = commitment_model(case)
    if case.n_units * case.n_hours <= whole_unit_hours:
        solver, x = _branch(case, model, gap_frac, limit_s, None)
        return ExactResult(
            schedule_of(case, model, x),
            float(model.cost @ x),
            float(solver.getInfo().mip_dual_bound),
            "milp",
        )
    fast = fast_commitment(case, TRIALS, PRICE_ROUNDS)
    narrow = _narrowed(model, fast)
    try:
        _, x = _branch(case, narrow, gap_frac, limit_s, fast.schedule.is_on)
        schedule, cost = schedule_of(case, model, x), float(model.cost @ x)
    except InputError:
        # The neighbourhood holds the fast schedule, so this is time running out and not a fleet that cannot serve.
        schedule, cost = fast.schedule, fast.cost
    if fast.cost < cost:
        schedule, cost = fast.schedule, fast.cost
    prices = _relaxed_prices(case, model, fast, limit_s)
    starts = [prices, (fast.energy_price, fast.reserve_price)]
    bound = max(lower_bound(case, *start, rounds=BOUND_ROUNDS) for start in starts)
    return ExactResult(schedule, cost, bound, "lagrangian")


def _narrowed(model: CommitmentModel, fast: FastResult) -> CommitmentModel:
    share, on = fast.on_share, fast.schedule.is_on
    agreed = ((share <= UNDECIDED[0]) & ~on) | ((share >= UNDECIDED[1]) & on)
    low, high = model.low.copy(), model.high.copy()
    low[model.on[agreed]] = high[model.on[agreed]] = on[agreed]
    return replace(model, low=low, high=high)


def _relaxed_prices(
    case: CommitmentCase, model: CommitmentModel, fast: FastResult, limit_s: float
) -> tuple[FloatArray, FloatArray]:
    """Give the prices of the linear relaxation in which units that never wavered keep their state.

    Any prices prove a bound; leaving out those units halves the time to good ones.
    """
    share, on = fast.on_share, fast.schedule.is_on
    never = (share <= UNDECIDED[0]).all(axis=1) & ~on.any(axis=1)
    always = (share >= UNDECIDED[1]).all(axis=1) & on.all(axis=1)
    low, high = model.low.copy(), model.high.copy()
    high[model.on[never]] = 0.0
    low[model.on[always]] = 1.0
    solver = solver_of(replace(model, low=low, high=high), integer=False)
    solver.setOptionValue("solver", "ipm")
    solver.setOptionValue("run_crossover", "off")
    solver.setOptionValue("ipm_optimality_tolerance", PRICE_TOLERANCE)
    solver.setOptionValue("time_limit", limit_s)
    solver.run()
    dual = np.asarray(solver.getSolution().row_dual)
    t = case.n_hours
    if len(dual) < 2 * t or not np.isfinite(dual).all():
        return fast.energy_price, fast.reserve_price
    return dual[:t], np.maximum(dual[t : 2 * t], 0.0)


def _branch(
    case: CommitmentCase, model: CommitmentModel, gap_frac: float, limit_s: float, first: BoolArray | None
) -> tuple[highspy.Highs, FloatArray]:
    solver = solver_of(model, integer=True)
    solver.setOptionValue("mip_rel_gap", gap_frac)
    solver.setOptionValue("time_limit", limit_s)
    if first is not None:
        solver.setSolution(model.on.size, model.on.ravel().astype(np.int32), first.ravel().astype(float))
    solver.run()
    x = np.asarray(solver.getSolution().col_value)
    status = solver.getModelStatus()
    if status == highspy.HighsModelStatus.kInfeasible:
        raise InputError(f"case {case.name}: no schedule can serve its demand and reserve")
    if not np.isfinite(solver.getInfo().mip_gap) or not len(x):
        raise InputError(f"case {case.name}: no schedule found in {limit_s:g} s ({status}); allow more time")
    return solver, x
