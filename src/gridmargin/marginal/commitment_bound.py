"""A proven lower bound on the cost of serving: the sum of what each unit would do against prices, over all units.

For any prices λ of energy and μ ≥ 0 of reserve, moving balance and reserve into the objective leaves one problem a unit,
and the sum of their optima plus λ·demand + μ·reserve is at most the cost of any schedule (Lagrangian duality;
Geoffrion 1974, doi:10.1007/BFb0120690). Each unit's problem is relaxed to its linear programme in the tight form, ramps
and start costs included. The figure is recomputed from the dual values alone, so that it holds whatever tolerance the
solver stopped at.
"""

from __future__ import annotations

from dataclasses import fields, replace

import highspy
import numpy as np

from gridmargin.grid.commitment_case import CommitmentCase, FloatArray, IntArray
from gridmargin.marginal.commitment_model import CommitmentModel, commitment_model
from gridmargin.marginal.commitment_solver import solver_of
from gridmargin.vocab import InputError

UNITS_AT_ONCE = 20


def lower_bound(case: CommitmentCase, energy_price: FloatArray, reserve_price: FloatArray) -> float:
    """Give a cost that no schedule of the case can undercut, in its currency.

    Parameters
    ----------
    energy_price, reserve_price : array, shape (t,)
        Any finite prices; the closer to clearing, the higher the bound. [MWh⁻¹]

    Raises
    ------
    InputError
        If the solver cannot solve a part.
    """
    reserve_price = np.maximum(reserve_price, 0.0)
    free = np.where(energy_price > 0, case.renewable_maximum_mw, case.renewable_minimum_mw)
    total = float(energy_price @ (case.demand_mw - free) + reserve_price @ case.reserve_mw)
    prices = np.concatenate([energy_price, reserve_price])
    for first in range(0, case.n_units, UNITS_AT_ONCE):
        part = units_of(case, np.arange(first, min(first + UNITS_AT_ONCE, case.n_units)))
        total += _part(commitment_model(part), prices, case.name)
    return total


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


def _part(model: CommitmentModel, prices: FloatArray, name: str) -> float:
    n = len(prices)
    own = replace(
        model,
        cost=model.cost - model.rows[:n].T @ prices,
        rows=model.rows[n:],
        row_low=model.row_low[n:],
        row_high=model.row_high[n:],
    )
    solver = solver_of(own, integer=False)
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        raise InputError(f"case {name}: a unit's own problem was not solved ({solver.getModelStatus()})")
    return safe_dual(own, np.asarray(solver.getSolution().row_dual))


def safe_dual(model: CommitmentModel, dual: FloatArray) -> float:
    """Give the dual objective that any row duals prove, since every column has two finite bounds."""
    dual = np.where(np.isfinite(model.row_low), dual, np.minimum(dual, 0.0))
    dual = np.where(np.isfinite(model.row_high), dual, np.maximum(dual, 0.0))
    side = np.where(dual > 0, model.row_low, model.row_high)
    left = model.cost - model.rows.T @ dual
    held = np.where(left > 0, model.low, model.high)
    used = dual != 0
    return float(dual[used] @ side[used] + left @ held)
