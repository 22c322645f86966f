"""Cheapest dispatch of a network for one interval, and what one more megawatt-hour at each bus would have emitted.

    min  c·p     p, f within limits;   at each bus   Σ p + Σ flows in − Σ flows out = demand
                                       on each branch |b (θ_i − θ_j)| ≤ limit

With the optimal basis B and the emission rates e_B of its variables, demand at bus n changes the basic variables by
B⁻¹ a_n, so emissions by e_B · B⁻¹ a_n. All buses at once are one more linear solve, y = B⁻ᵀ e_B: the prices are the same
solve with costs. Where the basis may change for an increase, for a decrease or between plans of equal cost, the answer is
one-sided or not unique; `Rates.tied` says where, and `one_sided` gives both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, csr_matrix, hstack, vstack

from gridmargin.grid import Network
from gridmargin.vocab import InputError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

AT_BOUND = 1e-7
"""A variable this near to a bound is at it, a reduced cost this small is none; HiGHS's own feasibility tolerance."""

_BASIC = highspy.HighsBasisStatus.kBasic


@dataclass(frozen=True, slots=True)
class Rates:
    """What the optimal basis says of each bus, arrays of shape (b,).

    Attributes
    ----------
    price_per_mwh : array
        Cost of one more megawatt-hour. [MWh⁻¹]
    marginal_gco2_per_kwh : array
        Emissions of one more kilowatt-hour, for demand changes that keep the basis. [g kWh⁻¹]
    tied : array of bool
        True where an increase and a decrease, or two plans of equal cost, may answer differently.
    """

    price_per_mwh: FloatArray
    marginal_gco2_per_kwh: FloatArray
    tied: BoolArray


class _Quiet(highspy.Highs):
    """HiGHS without its banner, which it writes to standard output while its callbacks are made; none is used here."""

    def __init__(self) -> None:
        super(highspy.Highs, self).__init__()
        self.setOptionValue("output_flag", False)


class Dispatch:
    """One network's dispatch, kept warm from interval to interval.

    Parameters
    ----------
    network : Network
        What is dispatched.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        n, m, d, s = (
            len(network.bus_names),
            len(network.branch_from),
            len(network.link_from),
            len(network.offer_names),
        )
        self._n, self._m, self._d, self._s = n, m, d, s
        self.matrix = balance_matrix(network)
        self.emission = np.concatenate([network.offer_factor_gco2_per_kwh, np.zeros(d + n)])
        self._emission_or_zero = np.concatenate([self.emission, np.zeros(n + m)])
        self._bus_rows = np.arange(n, dtype=np.int32)
        self._offer_columns = np.arange(s, dtype=np.int32)
        self._nothing = np.zeros(s)
        cost = np.concatenate([network.offer_cost_per_mwh, np.zeros(d + n)])
        upper = np.concatenate([network.offer_mw, network.link_limit_mw, np.full(n, np.inf)])
        lower = np.concatenate([np.zeros(s), -network.link_limit_mw, np.full(n, -np.inf)])
        fixed = s + d + network.references()
        lower[fixed] = upper[fixed] = 0.0
        row_lower = np.concatenate([np.zeros(n), -network.branch_limit_mw])
        row_upper = np.concatenate([np.zeros(n), network.branch_limit_mw])
        self._highs: Any = passed(self.matrix, cost, lower, upper, row_lower, row_upper)

    def solve(self, demand_mw: FloatArray, offer_mw: FloatArray | None = None) -> None:
        """Dispatch one interval; the basis of the last one is where the search begins.

        Parameters
        ----------
        demand_mw : array, shape (b,)
            Demand less whatever is not dispatched. [MW]
        offer_mw : array, shape (s,), optional
            Most of each offer in this interval, where it is not the network's. [MW]

        Raises
        ------
        InputError
            If a demand is not a number, or no dispatch serves it; names the bus and what is short.
        """
        if not np.isfinite(demand_mw).all():
            at = int((~np.isfinite(demand_mw)).argmax())
            raise InputError(
                f"{self.network.name}: demand at bus {self.network.bus_names[at]} is not a number"
            )
        self._highs.changeRowsBounds(self._n, self._bus_rows, demand_mw, demand_mw)
        if offer_mw is not None:
            self._highs.changeColsBounds(self._s, self._offer_columns, self._nothing, offer_mw)
        self._highs.run()
        status = self._highs.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise InputError(self._why_not(demand_mw, offer_mw, status))

    def forget(self) -> None:
        """Throw the basis away, so that the next solve starts cold."""
        self._highs.clearSolver()

    @property
    def cost(self) -> float:
        """Cost of the dispatch, per hour."""
        return float(self._highs.getInfo().objective_function_value)

    @property
    def output_mw(self) -> FloatArray:
        """Output of each offer; shape (s,). [MW]"""
        return np.array(self._highs.getSolution().col_value)[: self._s]

    @property
    def emissions_g_per_h(self) -> float:
        """Emissions of the dispatch beyond what is fixed. [g h⁻¹]"""
        return float(self.output_mw @ self.network.offer_factor_gco2_per_kwh) * 1000.0

    def rates(self, *, ties: bool = True) -> Rates:
        """Give price and marginal rate of every bus from the optimal basis: one transposed solve each.

        Parameters
        ----------
        ties : bool
            Look for ties; False leaves `tied` empty of meaning and saves the look.
        """
        price = np.array(self._highs.getSolution().row_dual)[: self._n]
        columns, y = self._adjoint()
        tied = self._tied(columns, y) if ties else np.zeros(self._n, dtype=bool)
        return Rates(price, y[: self._n], tied)

    def marginal_gco2_per_kwh(self) -> FloatArray:
        """Give the marginal rate of every bus and nothing else; shape (b,). [g kWh⁻¹]"""
        return self._adjoint()[1][: self._n]

    def _adjoint(self) -> tuple[IntArray, FloatArray]:
        """Give the basic variables and y = B⁻ᵀ e_B."""
        columns = np.asarray(self._highs.getBasicVariables()[1])
        # A row's own variable has a negative number, and reads a zero from the end.
        return columns, np.asarray(self._highs.getBasisTransposeSolve(self._emission_or_zero[columns])[1])

    def one_sided(self, bus: int, side: int) -> float | None:
        """Give the marginal rate at a bus for an increase (side = 1) or a decrease (−1); None where none is possible.

        The cheapest direction that stays within every bound that holds: a linear programme of its own. [g kWh⁻¹]
        """
        solution, basis = self._highs.getSolution(), self._highs.getBasis()
        lp = self._highs.getLp()
        columns = _cone(np.array(solution.col_value), np.array(lp.col_lower_), np.array(lp.col_upper_))
        rows = _cone(np.array(solution.row_value), np.array(lp.row_lower_), np.array(lp.row_upper_))
        del basis
        rows[0][: self._n] = rows[1][: self._n] = 0.0
        rows[0][bus] = rows[1][bus] = float(side)
        direction = passed(self.matrix, np.array(lp.col_cost_), *columns, *rows)
        direction.run()
        if direction.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        return side * float(np.array(direction.getSolution().col_value) @ self.emission)

    def response_mw(self, bus: int) -> FloatArray:
        """Give how each offer answers one more megawatt at a bus, while the basis holds; sums to 1, may be negative.

        Behind a constraint that binds, an offer may have to step back so that another can step up. [MW]
        """
        unit = np.zeros(self._n + self._m)
        unit[bus] = 1.0
        _, basic = self._highs.getBasicVariables()
        _, step = self._highs.getBasisSolve(unit)
        columns = np.asarray(basic)
        answer = np.zeros(self._s)
        is_offer = (columns >= 0) & (columns < self._s)
        answer[columns[is_offer]] = np.asarray(step)[is_offer]
        return answer

    @property
    def link_mw(self) -> FloatArray:
        """Flow of each link, from its first bus to its second; shape (d,). [MW]"""
        return np.array(self._highs.getSolution().col_value)[self._s : self._s + self._d]

    @property
    def is_link_binding(self) -> BoolArray:
        """Say which links are at their limit: what lies behind one answers on its own; shape (d,)."""
        return np.abs(self.network.link_limit_mw - np.abs(self.link_mw)) < AT_BOUND

    def room_mw(self, bus: int) -> tuple[float, float]:
        """Give how far demand at a bus may fall and rise before the basis changes. [MW]"""
        unit = np.zeros(self._n + self._m)
        unit[bus] = 1.0
        _, basic = self._highs.getBasicVariables()
        _, step = self._highs.getBasisSolve(unit)
        columns, step = np.asarray(basic), np.asarray(step)
        value, lower, upper = self._of_basic(columns)
        with np.errstate(divide="ignore", invalid="ignore"):
            up = np.where(
                step > 1e-11, (upper - value) / step, np.where(step < -1e-11, (lower - value) / step, np.inf)
            )
            down = np.where(
                step > 1e-11, (value - lower) / step, np.where(step < -1e-11, (value - upper) / step, np.inf)
            )
        return float(max(down.min(), 0.0)), float(max(up.min(), 0.0))

    def _of_basic(self, columns: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Give value and bounds of the basic variables; a row's own variable moves against its activity."""
        solution, lp = self._highs.getSolution(), self._highs.getLp()
        is_row, row = columns < 0, np.maximum(-columns - 1, 0)
        col = np.maximum(columns, 0)
        pairs = (
            (np.array(solution.col_value), np.array(solution.row_value)),
            (np.array(lp.col_lower_), np.array(lp.row_lower_)),
            (np.array(lp.col_upper_), np.array(lp.row_upper_)),
        )
        value, lower, upper = (np.where(is_row, of_row[row], of_col[col]) for of_col, of_row in pairs)
        # HiGHS writes A x + I r = 0 … : the row's variable is minus its activity.
        return (
            np.where(is_row, -value, value),
            np.where(is_row, -upper, lower),
            np.where(is_row, -lower, upper),
        )

    def _tied(self, columns: IntArray, y: FloatArray) -> BoolArray:
        value, lower, upper = self._of_basic(columns)
        at_bound = np.flatnonzero((value - lower < AT_BOUND) | (upper - value < AT_BOUND))
        tied = np.zeros(self._n, dtype=bool)
        for position in at_bound:
            _, row = self._highs.getBasisInverseRow(int(position))
            tied |= np.abs(np.asarray(row)[: self._n]) > 1e-9
        if self._has_equal_plan(y):
            tied[:] = True
        return tied

    def _has_equal_plan(self, y: FloatArray) -> bool:
        """Say whether a variable outside the basis could enter at no cost and change emissions."""
        basis = self._highs.getBasis()
        reduced = np.array(self._highs.getSolution().col_dual)
        lp = self._highs.getLp()
        free = np.array(lp.col_upper_) - np.array(lp.col_lower_) > AT_BOUND
        outside = np.array([status != _BASIC for status in basis.col_status])
        change = self.emission - self.matrix.T @ y
        return bool((outside & free & (np.abs(reduced) < AT_BOUND) & (np.abs(change) > 1e-6)).any())

    def _why_not(self, demand_mw: FloatArray, offer_mw: FloatArray | None, status: object) -> str:
        """Find the least that is missing: demand not served and output not wanted at each bus, at a price of 1."""
        if status == highspy.HighsModelStatus.kUnbounded:
            return (
                f"{self.network.name}: the dispatch is unbounded: an offer with a negative cost has no limit"
            )
        lp = self._highs.getLp()
        n, wide = self._n, self._n + self._m
        slack = csc_matrix((np.ones(n), (np.arange(n), np.arange(n))), shape=(wide, n))
        matrix = csc_matrix(hstack([self.matrix, slack, -slack]))
        cost = np.concatenate([np.zeros(self.matrix.shape[1]), np.ones(2 * n)])
        lower = np.concatenate([np.array(lp.col_lower_), np.zeros(2 * n)])
        upper = np.concatenate([np.array(lp.col_upper_), np.full(2 * n, np.inf)])
        least = passed(matrix, cost, lower, upper, np.array(lp.row_lower_), np.array(lp.row_upper_))
        least.run()
        found = np.array(least.getSolution().col_value)[self.matrix.shape[1] :]
        short, over = found[:n], found[n:]
        offered = self.network.offer_mw if offer_mw is None else offer_mw
        told = [f"{demand_mw.sum():.1f} MW of demand, {offered.sum():.1f} MW offered"]
        for amount, word in ((short, "MW cannot be served"), (over, "MW cannot be taken away")):
            if amount.max(initial=0.0) > AT_BOUND:
                at = int(amount.argmax())
                told.append(
                    f"at least {amount.sum():.1f} {word}, most of it at bus {self.network.bus_names[at]}"
                )
        return f"{self.network.name}: no dispatch is possible: {'; '.join(told)}"


def balance_matrix(network: Network) -> csr_matrix:
    """Bus balances above branch flows; columns are offers, links and angles."""
    n, m, d, s = (
        len(network.bus_names), len(network.branch_from), len(network.link_from), len(network.offer_names),
    )  # fmt: skip
    b, at = network.branch_mw_per_rad, np.arange(m)
    flow = csr_matrix(
        (np.r_[b, -b], (np.r_[at, at], np.r_[network.branch_from, network.branch_to])), shape=(m, n)
    )
    leaves = csr_matrix(
        (np.r_[np.ones(m), -np.ones(m)], (np.r_[network.branch_from, network.branch_to], np.r_[at, at])),
        shape=(n, m),
    )
    offers = csr_matrix((np.ones(s), (network.offer_bus, np.arange(s))), shape=(n, s))
    links = csr_matrix(
        (
            np.r_[-np.ones(d), np.ones(d)],
            (np.r_[network.link_from, network.link_to], np.r_[np.arange(d), np.arange(d)]),
        ),
        shape=(n, d),
    )
    above = hstack([offers, links, -leaves @ flow])
    below = hstack([csr_matrix((m, s + d)), flow])
    return csr_matrix(vstack([above, below]))


def passed(
    matrix: csr_matrix | csc_matrix,
    cost: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    row_lower: FloatArray,
    row_upper: FloatArray,
) -> Any:
    """Hand a linear programme to the solver, silent, on one thread, by the simplex method that leaves a basis."""
    model = highspy.HighsLp()
    columns = csc_matrix(matrix)
    model.num_row_, model.num_col_ = columns.shape
    model.col_cost_, model.col_lower_, model.col_upper_ = cost, lower, upper
    model.row_lower_, model.row_upper_ = row_lower, row_upper
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_, model.a_matrix_.index_ = columns.indptr, columns.indices
    model.a_matrix_.value_ = columns.data
    highs = _Quiet()
    highs.setOptionValue("threads", 1)
    highs.setOptionValue("solver", "simplex")
    highs.passModel(model)
    return highs


def _cone(value: FloatArray, lower: FloatArray, upper: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give the bounds of a direction that leaves every bound that holds kept."""
    return (
        np.where(value - lower < AT_BOUND, 0.0, -np.inf),
        np.where(upper - value < AT_BOUND, 0.0, np.inf),
    )


def load_weighted(rates: Sequence[float] | FloatArray, demand_mw: FloatArray) -> float:
    """Give the mean over buses, each weighing as its demand; for load that sits where load already is."""
    weight = np.maximum(demand_mw, 0.0)
    return float(np.asarray(rates) @ weight / weight.sum())
