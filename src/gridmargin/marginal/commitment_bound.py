"""A proven lower bound on the cost of serving: the sum of what each unit would do against prices, over all units.

For any prices λ of energy and μ ≥ 0 of reserve, moving balance and reserve into the objective leaves one problem a unit,
and the sum of their optima plus λ·demand + μ·reserve is at most the cost of any schedule (Lagrangian duality;
Geoffrion 1974, doi:10.1007/BFb0120690). Each unit's problem is relaxed to its linear programme in the tight form, ramps
and start costs included. The figure is recomputed from the dual values alone, so that it holds whatever tolerance the
solver stopped at.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import highspy
import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import CommitmentCase
from gridmargin.marginal.commitment_model import CommitmentModel, commitment_model
from gridmargin.marginal.commitment_solver import solver_of
from gridmargin.vocab import InputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

UNITS_AT_ONCE = 20

FIRST_BOX_FRAC = 0.02
LEAST_BOX_FRAC = 1e-4
"""Prices move within a box of so much of the typical price, which halves when a move brings nothing."""


def lower_bound(
    case: CommitmentCase,
    energy_price: FloatArray,
    reserve_price: FloatArray,
    rounds: int = 0,
    good_enough: float = np.inf,
) -> float:
    """Give a cost that no schedule of the case can undercut, in its currency.

    Parameters
    ----------
    energy_price, reserve_price : array, shape (t,)
        Any finite prices; the closer to clearing, the higher the bound. [MWh⁻¹]
    rounds : int
        How often prices are moved to raise the bound, by cutting planes in a trust box.
    good_enough : float
        Stop moving prices once the bound is this high.

    Raises
    ------
    InputError
        If the solver cannot solve a part.
    """
    parts = [
        _Part(units_of(case, np.arange(first, min(first + UNITS_AT_ONCE, case.n_units))))
        for first in range(0, case.n_units, UNITS_AT_ONCE)
    ]
    prices = np.concatenate([energy_price, np.maximum(reserve_price, 0.0)])
    box = FIRST_BOX_FRAC * max(float(np.median(np.abs(energy_price))), 1e-9)
    least = box * LEAST_BOX_FRAC / FIRST_BOX_FRAC
    master = _Master(case, len(parts))
    best, centre = -np.inf, prices
    for turn in range(rounds + 1):
        answers = [part.answer(prices) for part in parts]
        value = sum(answer.bound for answer in answers) + _served(case, prices)
        if value > best:
            best, centre = value, prices
        else:
            box /= 2
        if turn == rounds or best >= good_enough or box < least:
            break
        master.cut(answers)
        prices = master.best(centre, box)
    return float(best)


def _served(case: CommitmentCase, prices: FloatArray) -> float:
    energy, reserve = prices[: case.n_hours], prices[case.n_hours :]
    free = np.where(energy > 0, case.renewable_maximum_mw, case.renewable_minimum_mw)
    return float(energy @ (case.demand_mw - free) + reserve @ case.reserve_mw)


def units_of(case: CommitmentCase, which: IntArray) -> CommitmentCase:
    """Give the case of some units alone, with no renewable power."""
    picked = {
        field.name: getattr(case, field.name)[which]
        for field in fields(case)
        if isinstance(getattr(case, field.name), np.ndarray)
        and len(getattr(case, field.name)) == case.n_units
        and field.name not in ("demand_mw", "reserve_mw", "renewable_minimum_mw", "renewable_maximum_mw")
    }
    none = np.zeros(case.n_hours)
    return replace(
        case,
        unit_names=tuple(case.unit_names[i] for i in which),
        renewable_minimum_mw=none,
        renewable_maximum_mw=none,
        **picked,
    )


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a part would do: its proven value, and its cost and supply, which make a cut."""

    bound: float
    cost: float
    supply_mw: FloatArray


class _Part:
    """Some units' own problem, kept in the solver so that the next prices start from the last basis."""

    def __init__(self, part: CommitmentCase) -> None:
        model = commitment_model(part)
        n = 2 * part.n_hours
        self._name = part.name
        self._cost, self._supply = model.cost, model.rows[:n]
        self._model = replace(
            model, rows=model.rows[n:], row_low=model.row_low[n:], row_high=model.row_high[n:]
        )
        self._solver = solver_of(self._model, integer=False)
        self._columns = np.arange(len(model.cost), dtype=np.int32)

    def answer(self, prices: FloatArray) -> _Answer:
        cost = self._cost - self._supply.T @ prices
        self._solver.changeColsCost(len(cost), self._columns, cost)
        self._solver.run()
        status = self._solver.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise InputError(f"case {self._name}: a unit's own problem was not solved ({status})")
        solution = self._solver.getSolution()
        x = np.asarray(solution.col_value)
        bound = safe_dual(replace(self._model, cost=cost), np.asarray(solution.row_dual))
        return _Answer(bound, float(self._cost @ x), self._supply @ x)


class _Master:
    """Where the cuts so far say the bound is highest, within a box."""

    def __init__(self, case: CommitmentCase, n_parts: int) -> None:
        t = case.n_hours
        self._n = n = 2 * t
        self._solver = highspy.Highs()  # type: ignore[no-untyped-call]
        self._solver.setOptionValue("output_flag", False)
        far = highspy.kHighsInf
        # Columns: prices, then what free power is worth each hour, then one value a part; all maximised.
        gain = np.concatenate([case.demand_mw, case.reserve_mw, np.ones(t + n_parts)])
        size = len(gain)
        self._solver.addVars(size, np.full(size, -far), np.full(size, far))
        self._solver.changeColsCost(size, np.arange(size, dtype=np.int32), -gain)
        for hour in range(t):
            for free_mw in (case.renewable_minimum_mw[hour], case.renewable_maximum_mw[hour]):
                self._solver.addRow(-far, 0.0, 2, np.array([hour, n + hour]), np.array([free_mw, 1.0]))
        self._first_part = n + t

    def cut(self, answers: list[_Answer]) -> None:
        """Add what each part's plan proves: its value at any prices is at most cost - prices @ supply."""
        columns = np.arange(self._n + 1, dtype=np.int32)
        for part, answer in enumerate(answers):
            columns[-1] = self._first_part + part
            row = np.append(answer.supply_mw, 1.0)
            self._solver.addRow(-highspy.kHighsInf, answer.cost, len(row), columns, row)

    def best(self, centre: FloatArray, box: float) -> FloatArray:
        """Give the prices within the box that the cuts value most."""
        low = centre - box
        low[self._n // 2 :] = np.maximum(low[self._n // 2 :], 0.0)
        columns = np.arange(self._n, dtype=np.int32)
        self._solver.changeColsBounds(self._n, columns, low, centre + box)
        self._solver.run()
        return np.asarray(self._solver.getSolution().col_value)[: self._n].copy()


def safe_dual(model: CommitmentModel, dual: FloatArray) -> float:
    """Give the dual objective that any row duals prove, since every column has two finite bounds."""
    dual = np.where(np.isfinite(model.row_low), dual, np.minimum(dual, 0.0))
    dual = np.where(np.isfinite(model.row_high), dual, np.maximum(dual, 0.0))
    side = np.where(dual > 0, model.row_low, model.row_high)
    left = model.cost - model.rows.T @ dual
    held = np.where(left > 0, model.low, model.high)
    used = dual != 0
    return float(dual[used] @ side[used] + left @ held)
