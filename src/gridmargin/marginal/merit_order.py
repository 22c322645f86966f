"""merit_order: every unit by its cost, under outages and an uncertain load, so that the margin is a probability.

Which unit answers the next megawatt: see `gridmargin.marginal.stack`. What the units bid: `merit_blocks`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import GridStates, price_column
from gridmargin.marginal.bid_curve import HALF_LIFE_DAYS, apply_bid_curve, learn_bid_curve
from gridmargin.marginal.conformal import apply as conformal_range
from gridmargin.marginal.conformal import widening
from gridmargin.marginal.estimate import Estimates
from gridmargin.marginal.estimator import Facts, Fit, Need
from gridmargin.marginal.merit_blocks import (
    blocks_at,
    price_columns,
    reference_cost,
    residual_columns,
    residual_mw,
    stack_parameters,
    stack_units,
)
from gridmargin.marginal.stack import MarginTable, margin_table
from gridmargin.marginal.stack_range import CHANGES, calibrate_on_changes
from gridmargin.vocab import Basis, Kind, NoFactorError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SURPLUS = "surplus"
"""The source where the load on the stack is below zero: what answers is curtailed or spilled and emits nothing."""

SCARCE = "scarce"

FACTOR_SPREAD90_FRAC = 0.05
"""Half-width of the 90 % range of one unit's own factor: the efficiency of a unit moves by about that between half and
full output. It keeps a range open where one source is certain."""

FADED_HALF_LIVES = 8
"""A price of eight half-lives ago would weigh 1/256: it is not looked at."""

MIN_DAYS = 7
"""A week: how much of the listed capacity runs, and how far the load moves, cannot be told from less."""

FEW_TABLES = 8
"""Up to so many sets of fuel prices, a stack without a compiler is done before the compiler is loaded."""

_TAILS = (0.05, 0.95)
_DAY_S = 86_400


class MeritOrder:
    """The stack of a zone's fossil units; needs a table of units.

    Parameters
    ----------
    committed_minimum_mw : array, shape (u,), optional
        What a commitment says will run whatever the load, per unit of the fleet. [MW]
    """

    name = "merit_order"
    version = "2"
    kind = Kind.MARGINAL
    needs: frozenset[Need] = frozenset({Need.UNITS})

    def __init__(self, committed_minimum_mw: FloatArray | None = None) -> None:
        self._committed_mw = committed_minimum_mw

    def can_fit(self, history: GridStates, facts: Facts) -> str | None:
        """Say what is missing for a fit, or None when nothing is."""
        missing = self._cannot_stack(history, facts)
        if missing:
            return missing
        columns = residual_columns(history)
        known = history.start_epoch_s()[np.isfinite(residual_mw(history, columns))]
        days = np.ptp(known) / _DAY_S if len(known) else 0.0
        if days < MIN_DAYS - 1 or len(known) < 2:
            return (
                f"{self.name} of {history.zone} needs {MIN_DAYS} days in which all of {', '.join(columns['plus'])} is"
                f" known, found {days:.1f}"
            )
        return None

    def _cannot_stack(self, history: GridStates, facts: Facts) -> str | None:
        """Say what is missing for a stack from costs alone."""
        if facts.units is None:
            return f"{self.name} of {history.zone} needs {Need.UNITS.value}, and its facts hold none"
        if not len(stack_units(facts.units)):
            return (
                f"{self.name} of {history.zone} needs a fossil unit with a known factor and cost; {facts.units.name} "
                "has none: nothing of it can be on a fossil margin"
            )
        columns = residual_columns(history)
        if not columns:
            return f"{self.name} of {history.zone} needs fossil generation or demand in its states, and neither is reported"
        return None

    def fit(self, history: GridStates, facts: Facts) -> Fit:
        """Take the fleet, and learn its visible share, the load's error and, where there are prices, the bid curve.

        Raises
        ------
        NoFactorError
            If `can_fit` names something missing.
        """
        missing = self.can_fit(history, facts)
        if missing or facts.units is None:
            raise NoFactorError(missing or "no units")
        starts = history.frame["start_utc"]
        p = stack_parameters(facts.units, history, self._committed_mw)
        p |= {"bid_curve": None, "range": None, "calibrated_against": None}
        price = history.values(price_column(p["currency"]))
        recent = history.start_epoch_s()[-1] - int(FADED_HALF_LIVES * HALF_LIFE_DAYS * _DAY_S)
        remembered = replace(history, frame=history.frame.filter(history.start_epoch_s() >= recent))
        price = price[history.start_epoch_s() >= recent]
        costs = list(self._costs(remembered, p)) if np.isfinite(price).any() else []
        if costs:
            rows, _, reference, load = (np.concatenate(parts) for parts in zip(*costs, strict=True))
            p["bid_curve"] = learn_bid_curve(remembered.start_epoch_s()[rows], price[rows], reference, load)
        end = starts[-1] + timedelta(seconds=history.interval_s)
        plain = self._fit(history.zone, starts[0], end, len(history), p, facts)
        table = calibrate_on_changes(remembered, p, self.estimate(remembered, plain))
        if table is None:
            return plain
        return replace(plain, parameters={**p, "range": table, "calibrated_against": CHANGES})

    def from_costs(self, template: GridStates, facts: Facts) -> Fit:
        """Make a fit that has seen no past: costs and usual figures alone.

        `template` only says which quantities the zone reports, never how much.

        Raises
        ------
        NoFactorError
            If `can_fit` names something missing.
        """
        missing = self._cannot_stack(template, facts)
        if missing or facts.units is None:
            raise NoFactorError(missing or "no units")
        p = stack_parameters(facts.units, None, self._committed_mw)
        p["residual"] = residual_columns(template)
        p |= {"bid_curve": None, "range": None, "calibrated_against": None}
        start = template.frame["start_utc"][0]
        return self._fit(template.zone, start, start, 0, p, facts)

    def _fit(self, zone: str, start: datetime, end: datetime, n: int, p: dict[str, Any], facts: Facts) -> Fit:
        hashes = facts.units.payload_sha256s if facts.units else ()
        return Fit(self.name, self.version, zone, start, end, n, p, hashes)

    def estimate(self, states: GridStates, fit: Fit) -> Estimates:
        """Give the margin of every state whose load, and prices where it has any, are known.

        Notes
        -----
        The range is calibrated on the past's observed changes where the fit could (`stack_range`), else the model's own
        distribution over units; both widened by the spread of a unit's factor and by the states' status.
        """
        p = fit.parameters
        load = residual_mw(states, p["residual"])
        n, names = len(states), [*p["sources"], SURPLUS]
        probability, factor = np.full((n, len(names)), np.nan), np.zeros((n, len(names)))
        low, high = np.full(n, np.nan), np.full(n, np.nan)
        regime = np.full(n, SURPLUS, dtype="U40")
        base = np.array(p["factor_gco2_per_kwh"])
        mean_factor = _source_factors(p, base)
        groups = list(self.price_groups(states, p))
        for rows, prices in groups:
            table = margin_table(
                blocks_at(p, prices), len(p["sources"]), p["load_sd_mw"], compiled=len(groups) > FEW_TABLES
            )
            at = load[rows]
            mine = np.maximum(_at(table, table.probability, at), 0.0)
            emission = np.maximum(_at(table, table.emission, at), 0.0)
            spare = np.maximum(_at(table, table.surplus[:, None], at), 0.0)
            total = mine.sum(axis=1, keepdims=True) + spare
            probability[rows] = np.hstack([mine, spare]) / total
            factor[np.ix_(rows, np.arange(len(names) - 1))] = np.where(
                mine > 1e-12, emission / np.maximum(mine, 1e-300), mean_factor
            )
            low[rows], high[rows] = _quantiles(table, at)
            scarce = _at(table, table.scarce[:, None], at)[:, 0]
            named = np.array(names)[probability[rows].argmax(axis=1)]
            regime[rows] = np.where(scarce > 0.5, SCARCE, np.where(at <= 0, SURPLUS, named))
        known = np.flatnonzero(np.isfinite(load) & np.isfinite(low))
        probability, factor = probability[known], factor[known]
        mid = (probability * factor).sum(axis=1)
        status = states.frame["status"].gather(known).to_numpy().astype(np.str_)
        spread = FACTOR_SPREAD90_FRAC * np.maximum(mid, 1.0)
        wide = widening(status)
        regime = regime[known].astype(np.str_)
        below = np.maximum(mid - low[known], 0.0) + spread
        above = np.maximum(high[known] - mid, 0.0) + spread
        if p["range"] is not None:
            held_low, held_high = conformal_range(mid, regime, p["range"])
            # Beyond both ends of the stack nothing was seen to calibrate on: there the wider of the two stands.
            beyond = np.isin(regime, (SURPLUS, SCARCE))
            below = np.maximum(mid - held_low, np.where(beyond, below, spread))
            above = np.maximum(held_high - mid, np.where(beyond, above, spread))
        return Estimates(
            zone=states.zone,
            interval_s=states.interval_s,
            start_epoch_s=states.start_epoch_s()[known],
            low=np.maximum(mid - below * wide, 0.0),
            mid=mid,
            high=mid + above * wide,
            source_names=tuple(names),
            source_probability=probability,
            source_factor=factor,
            regime=regime,
            status=status,
            basis=Basis(Kind.MARGINAL),
            estimator=self.name,
            estimator_version=self.version,
            fit_id=fit.fit_id,
        )

    def modelled_price(self, states: GridStates, fit: Fit) -> FloatArray:
        """Give the expected bid of the unit on the margin, NaN where not known; shape (n,). [MWh⁻¹]

        In the fit's currency; by the bid curve where the fit's past had prices to learn one from.
        """
        out = np.full(len(states), np.nan)
        for rows, cost, reference, load in self._costs(states, fit.parameters):
            out[rows] = apply_bid_curve(fit.parameters["bid_curve"], cost, reference, load)
        return out

    def price_groups(
        self, states: GridStates, p: dict[str, Any]
    ) -> Iterator[tuple[IntArray, dict[str, float]]]:
        """Give the rows of each set of fuel and carbon prices; rows that lack one are in none."""
        columns = price_columns(states, p)
        if not columns:
            yield np.arange(len(states)), {}
            return
        given = np.stack([states.values(column) for column in columns], axis=1)
        known = np.flatnonzero(np.isfinite(given).all(axis=1))
        if not len(known):
            return
        values, index = np.unique(given[known], axis=0, return_inverse=True)
        for number, prices in enumerate(values):
            rows = known[index.reshape(-1) == number]
            yield rows, dict(zip(columns, prices.tolist(), strict=True))

    def _costs(
        self, states: GridStates, p: dict[str, Any]
    ) -> Iterator[tuple[IntArray, FloatArray, FloatArray, FloatArray]]:
        """Rows, expected bid, reference cost and load as a share of the stack; only rows whose load is known."""
        load = residual_mw(states, p["residual"])
        whole = float(np.sum(p["capacity_mw"]))
        for rows, prices in self.price_groups(states, p):
            rows = rows[np.isfinite(load[rows])]
            table = margin_table(blocks_at(p, prices), len(p["sources"]), p["load_sd_mw"])
            cost = _at(table, table.cost_per_mwh[:, None], load[rows])[:, 0]
            yield rows, cost, np.full(len(rows), reference_cost(p, prices)), load[rows] / whole


def _at(table: MarginTable, values: FloatArray, load_mw: FloatArray) -> FloatArray:
    """Interpolate along the table's loads; shape (n, columns)."""
    step = table.load_mw[1] - table.load_mw[0]
    place = np.clip((load_mw - table.load_mw[0]) / step, 0.0, len(table.load_mw) - 1.000001)
    place = np.nan_to_num(place)
    left = place.astype(np.int64)
    share = (place - left)[:, None]
    return np.asarray(values[left] * (1 - share) + values[left + 1] * share)


def _quantiles(table: MarginTable, load_mw: FloatArray) -> tuple[FloatArray, FloatArray]:
    """5 % and 95 % points of the factor at each load; NaN where the load is."""
    below = np.cumsum(_at(table, table.factor_probability, load_mw), axis=1)
    below += _at(table, table.surplus[:, None], load_mw)
    ends = []
    for level in _TAILS:
        at = np.minimum((below < level * below[:, -1:]).sum(axis=1), below.shape[1] - 1)
        ends.append(table.factors[at])
    spare = _at(table, table.surplus[:, None], load_mw)[:, 0]
    low = np.where(spare >= _TAILS[0] * below[:, -1], 0.0, ends[0])
    high = np.where(spare >= _TAILS[1] * below[:, -1], 0.0, ends[1])
    return np.where(np.isfinite(load_mw), low, np.nan), np.where(np.isfinite(load_mw), high, np.nan)


def _source_factors(p: dict[str, Any], factor: FloatArray) -> FloatArray:
    names = np.array(p["fuels"] if p["sources"] != p["units"] else p["units"])
    weight = np.array(p["capacity_mw"])
    return np.array(
        [np.average(factor[names == name], weights=weight[names == name] + 1e-12) for name in p["sources"]]
    )
