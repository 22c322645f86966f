"""Which units run in which hour: a bound from the relaxation, and a schedule with a proven gap to it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import CommitmentCase
from gridmargin.marginal.commitment_check import check
from gridmargin.marginal.commitment_model import Programme, programme
from gridmargin.marginal.dispatch import passed
from gridmargin.vocab import InputError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

WHOLE = 1e-3
"""A relaxed commitment this near to 0 or 1 counts as it; the interior point method stops at about 1e-7."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A commitment with its outputs.

    Attributes
    ----------
    on : array of bool, shape (g, h)
        Commitment.
    output_mw : array, shape (g, h)
        Outputs. [MW]
    cost : float
        As `commitment_check.check` finds it. [USD]
    bound : float
        No schedule costs less; −inf where none is known. [USD]
    """

    on: BoolArray
    output_mw: FloatArray
    cost: float
    bound: float

    @property
    def gap_frac(self) -> float:
        """Most that the cost can be above the cheapest, as a fraction of the cost."""
        return (self.cost - self.bound) / self.cost if self.cost > 0.0 else math.inf


@dataclass(frozen=True, slots=True)
class Relaxed:
    """The relaxation solved: its bound and its fractional commitment, and the prices of each hour.

    Attributes
    ----------
    bound : float
        Cost of the relaxation. [USD]
    on : array, shape (g, h)
        Commitment between 0 and 1.
    energy_usd_per_mwh, reserve_usd_per_mwh : array, shape (h,)
        Duals of balance and reserve. [USD MWh⁻¹]
    """

    bound: float
    on: FloatArray
    energy_usd_per_mwh: FloatArray
    reserve_usd_per_mwh: FloatArray


def relax(case: CommitmentCase, written: Programme | None = None) -> Relaxed:
    """Solve the linear relaxation by the interior point method, without crossing over to a basis.

    Raises
    ------
    InputError
        If even the relaxation has no solution.

    Notes
    -----
    The bound is `proven` from the duals, so it holds however roughly the solver stopped.
    """
    p = programme(case) if written is None else written
    highs = _handed(p)
    highs.setOptionValue("solver", "ipm")
    highs.setOptionValue("run_crossover", "off")
    highs.run()
    if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        raise InputError(f"{case.name}: no commitment serves demand and reserve, not even relaxed")
    solution = highs.getSolution()
    dual = np.array(solution.row_dual)
    bound = proven(p, dual)
    on = np.array(solution.col_value)[p.u]
    return Relaxed(bound, on, dual[p.balance], dual[p.reserve])


def proven(p: Programme, dual: FloatArray) -> float:
    """Give the bound that any prices prove: every column is bounded, so the Lagrangian is a sum. [USD]

    Notes
    -----
    For y with signs that fit the rows' bounds, and d = c − Aᵀy, no solution costs less than
    Σ y⁺·lower − y⁻·upper of the rows, plus the same of d over the columns.
    """
    y = np.where((dual > 0.0) & np.isinf(p.row_lower), 0.0, dual)
    y = np.where((y < 0.0) & np.isinf(p.row_upper), 0.0, y)
    d = p.cost - p.matrix.T @ y
    at_row = np.where(y > 0.0, p.row_lower, np.where(y < 0.0, p.row_upper, 0.0))
    return float(y @ at_row + d @ np.where(d > 0.0, p.lower, p.upper))


def commit(
    case: CommitmentCase,
    *,
    time_limit_s: float,
    gap_frac: float = 1e-3,
    relaxed: Relaxed | None = None,
    written: Programme | None = None,
) -> Schedule:
    """Search for a cheap schedule; with `relaxed`, only among those that keep its whole commitments.

    Parameters
    ----------
    case : CommitmentCase
        What is scheduled.
    time_limit_s : float
        When to stop. [s]
    gap_frac : float
        Proven gap at which to stop early.
    relaxed : Relaxed, optional
        Units whose relaxed commitment is whole in every hour are fixed to it; the bound is then the relaxation's.
    written : Programme, optional
        The programme, where it is written already.

    Raises
    ------
    InputError
        If no schedule was found in the time.
    """
    p = programme(case) if written is None else written
    highs = _handed(p)
    columns = np.concatenate([p.u.ravel(), p.v.ravel(), p.w.ravel()]).astype(np.int32)
    if relaxed is not None:
        whole = (np.abs(relaxed.on - np.round(relaxed.on)) < WHOLE).all(axis=1)
        fixed = np.round(relaxed.on[whole])
        at = p.u[whole].ravel().astype(np.int32)
        highs.changeColsBounds(len(at), at, fixed.ravel(), fixed.ravel())
    kind = np.full(len(columns), int(highspy.HighsVarType.kInteger), dtype=np.uint8)
    highs.changeColsIntegrality(len(columns), columns, kind)
    highs.setOptionValue("solver", "choose")
    highs.setOptionValue("time_limit", time_limit_s)
    highs.setOptionValue("mip_rel_gap", gap_frac)
    highs.run()
    info = highs.getInfo()
    if info.primal_solution_status != int(highspy.SolutionStatus.kSolutionStatusFeasible):
        raise InputError(f"{case.name}: no schedule found in {time_limit_s:g} s; allow more time")
    value = np.array(highs.getSolution().col_value)
    on = value[p.u] > 0.5
    bound = float(info.mip_dual_bound) if relaxed is None else relaxed.bound
    return _schedule(case, p, on, value, bound)


def _handed(p: Programme) -> Any:
    """Hand the programme to the solver."""
    return passed(p.matrix, p.cost, p.lower, p.upper, p.row_lower, p.row_upper)


def _schedule(case: CommitmentCase, p: Programme, on: BoolArray, value: FloatArray, bound: float) -> Schedule:
    """Read the outputs off a solution and check it.

    Raises
    ------
    InputError
        If the solution breaks a limit of the case.
    """
    reach = np.cumsum(case.step_mw, axis=1)[:, :, None]
    weight = np.where(p.point >= 0, value[p.point], 0.0)
    output = np.where(on, case.minimum_mw[:, None] + (weight * reach).sum(axis=1), 0.0)
    verdict = check(case, on, output)
    if verdict.violations:
        raise InputError(f"{case.name}: the solver's schedule breaks a limit: {verdict.violations[0]}")
    return Schedule(on, output, verdict.cost, bound)
