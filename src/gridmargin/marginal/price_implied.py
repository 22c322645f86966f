"""price_implied: which technology would bid the price that came, given fuel and carbon prices.

    P(source | price, load) ∝ P(source | load) × p(price | source)

The prior is the stack's probability of each source to be on the margin at that load (`merit_order`). The likelihood is
a mixture over the units of the source, each bidding its own cost with an error whose size is learned from the past.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import GridStates, price_column
from gridmargin.marginal.estimate import Estimates
from gridmargin.marginal.estimator import Facts, Fit, Need
from gridmargin.marginal.merit_blocks import blocks_at
from gridmargin.marginal.merit_order import MeritOrder
from gridmargin.marginal.stack import Blocks
from gridmargin.vocab import Kind, NoFactorError

FloatArray = NDArray[np.float64]

MIN_PRICES = 48
"""Two days of hours: the least from which a spread of bids is read."""

PRIOR_FLOOR = 0.02
"""No source of the stack is ruled out by the load alone: a fiftieth, shared, is the chance given to a stack that is
wrong (units on outage, a neighbour's plant, a strategic bid)."""

MIN_NOISE_PER_MWH = 1.0
"""Bids are not known better than a unit of money."""

_MAD_TO_SD = 1.4826  # of a normal distribution
_BIG_TABLE = 4_000_000  # likelihood cells at a time: 32 MB


class PriceImplied:
    """The stack of `merit_order`, updated by the price; needs units and a price in the states."""

    name = "price_implied"
    version = "1"
    kind = Kind.MARGINAL
    needs: frozenset[Need] = frozenset({Need.UNITS})

    def can_fit(self, history: GridStates, facts: Facts) -> str | None:
        """Say what is missing for a fit, or None when nothing is."""
        missing = MeritOrder().can_fit(history, facts)
        if missing:
            return missing.replace(MeritOrder.name, self.name)
        assert facts.units is not None
        column = price_column(facts.units.currency)
        n = int(np.isfinite(history.values(column)).sum())
        if n < MIN_PRICES:
            return (
                f"{self.name} of {history.zone} needs at least {MIN_PRICES} intervals with {column}, found {n}; "
                "give prices in the currency of its units"
            )
        return None

    def fit(self, history: GridStates, facts: Facts) -> Fit:
        """Learn the stack and how far prices stray from what it would bid.

        Raises
        ------
        NoFactorError
            If `can_fit` names something missing.
        """
        missing = self.can_fit(history, facts)
        if missing:
            raise NoFactorError(missing)
        inner = MeritOrder().fit(history, facts)
        p = dict(inner.parameters)
        p |= {"bid_curve": None, "range": None, "calibrated_against": None}  # the posterior has its own range
        plain = replace(inner, parameters=p)
        price = history.values(price_column(p["currency"]))
        error = price - MeritOrder().modelled_price(history, plain)
        error = error[np.isfinite(error)]
        if not len(error):
            raise NoFactorError(
                f"{self.name} of {history.zone}: no interval has a price, a load and fuel prices together"
            )
        bias = float(np.median(error))
        noise = max(_MAD_TO_SD * float(np.median(np.abs(error - bias))), MIN_NOISE_PER_MWH)
        p["bid_bias_per_mwh"], p["bid_sd_per_mwh"] = bias, noise
        return replace(inner, estimator=self.name, estimator_version=self.version, parameters=p)

    def estimate(self, states: GridStates, fit: Fit) -> Estimates:
        """Give the posterior of every state with a price; one without is left out.

        Notes
        -----
        A price below zero is paid by somebody who would rather pay than stop, so the surplus takes the part of the
        prior that the lowest bid of the stack cannot explain; the regime says `negative_price`. A price that no unit
        explains within four noise widths is `unexplained_high` or `unexplained_low`, its posterior falls back to the
        prior, and its range is the whole stack's.
        """
        p = fit.parameters
        prior = MeritOrder().estimate(states, fit)
        column = price_column(p["currency"])
        place = np.searchsorted(states.start_epoch_s(), prior.start_epoch_s)
        price = states.values(column)[place] if len(place) else np.zeros(0)
        keep = np.flatnonzero(np.isfinite(price))
        place, price = place[keep], price[keep]
        probability = prior.source_probability[keep].copy()
        factor = prior.source_factor[keep].copy()
        low, high = prior.low[keep].copy(), prior.high[keep].copy()
        regime = np.full(len(keep), "implied", dtype="U40")
        where = {int(row): at for at, row in enumerate(place)}
        for rows, prices in MeritOrder().price_groups(states, p):
            mine = np.array([where[r] for r in rows.tolist() if r in where], dtype=np.int64)
            if not len(mine):
                continue
            blocks = blocks_at(p, prices)
            for part in np.array_split(mine, max(1, len(mine) * len(blocks.bid_per_mwh) // _BIG_TABLE)):
                _update(p, blocks, price[part], part, probability, factor, low, high, regime)
        mid = (probability * factor).sum(axis=1)
        low = np.minimum(low, mid * (1 - 1e-3))
        high = np.maximum(high, mid * (1 + 1e-3) + 1e-6)
        return Estimates(
            zone=prior.zone,
            interval_s=prior.interval_s,
            start_epoch_s=prior.start_epoch_s[keep],
            low=np.maximum(low, 0.0),
            mid=mid,
            high=high,
            source_names=prior.source_names,
            source_probability=probability,
            source_factor=factor,
            regime=regime.astype(np.str_),
            status=prior.status[keep],
            basis=prior.basis,
            estimator=self.name,
            estimator_version=self.version,
            fit_id=fit.fit_id,
        )


def implied_heat_rate(
    price_per_mwh: FloatArray,
    fuel_price_per_mwh: float,
    carbon_price_per_t: float,
    fuel_kgco2_per_mwh: float,
    variable_cost_per_mwh: float = 0.0,
) -> FloatArray:
    """Give the fuel energy per megawatt-hour at which a unit of a fuel just earns the price. [MWh MWh⁻¹]

    NaN where the price does not cover the variable cost or is not known: no heat rate explains it.

    Notes
    -----
    heat rate = (price − variable cost) ÷ (fuel price + carbon price × CO2 per fuel energy)
    """
    per_fuel = fuel_price_per_mwh + carbon_price_per_t * fuel_kgco2_per_mwh / 1000.0
    rate = (np.asarray(price_per_mwh, dtype=np.float64) - variable_cost_per_mwh) / per_fuel
    return np.where(rate > 0, rate, np.nan)


def price_separation(
    home: GridStates, neighbour: GridStates, currency: str, tolerance_per_mwh: float = 0.01
) -> tuple[NDArray[np.int64], FloatArray]:
    """Say where a border is congested: starts common to both, and the sign of the price difference.

    Returns
    -------
    start_epoch_s : array of int64, shape (n,)
        [s since 1970 UTC]
    sign : array, shape (n,)
        +1 where home is dearer: imports are at their limit and home's own plants answer; −1 where it is cheaper; 0
        where prices agree within the tolerance and the two share a margin; NaN where a price is not known. [1]
    """
    start, a, b = np.intersect1d(home.start_epoch_s(), neighbour.start_epoch_s(), return_indices=True)
    column = price_column(currency)
    difference = home.values(column)[a] - neighbour.values(column)[b]
    sign = np.where(np.abs(difference) <= tolerance_per_mwh, 0.0, np.sign(difference))
    return start.astype(np.int64), np.where(np.isfinite(difference), sign, np.nan)


def _update(
    p: dict[str, Any],
    blocks: Blocks,
    price: FloatArray,
    rows: NDArray[np.int64],
    probability: FloatArray,
    factor: FloatArray,
    low: FloatArray,
    high: FloatArray,
    regime: NDArray[np.str_],
) -> None:
    k = len(p["sources"])
    bids = np.where(blocks.bid_per_mwh < -1e5, np.nan, blocks.bid_per_mwh)  # committed parts set no price
    priced = np.isfinite(bids)
    bids, capacity, group = bids[priced], blocks.capacity_mw[priced], blocks.group[priced]
    factors = blocks.factor_gco2_per_kwh[priced]
    distance = (price[:, None] - bids - p["bid_bias_per_mwh"]) / p["bid_sd_per_mwh"]
    within = np.exp(-0.5 * distance**2) * capacity
    prior = probability[rows]
    floor = PRIOR_FLOOR / k
    weight = prior[:, :k] * (1 - PRIOR_FLOOR) + floor * (1 - prior[:, k:])
    share = np.zeros((len(bids), k))
    share[np.arange(len(bids)), group] = 1.0
    size = share.T @ capacity
    density = (within @ share) / np.maximum(size, 1e-12)
    joint = weight * density
    # Below the cheapest bid it is the one curtailed who sets the price: as likely as the cheapest unit at zero.
    spill = np.where(price < 0, np.maximum(prior[:, k], PRIOR_FLOOR), prior[:, k])
    zero = (price - p["bid_bias_per_mwh"]) / p["bid_sd_per_mwh"]
    spill_density = np.exp(-0.5 * np.maximum(zero, 0.0) ** 2)
    total = joint.sum(axis=1) + spill * spill_density
    nearest = np.abs(distance).min(axis=1)
    explained = (nearest <= 4.0) & (total > 0)
    negative = price < 0
    use = (explained | negative) & (total > 0)
    posterior = np.column_stack([joint, spill * spill_density]) / np.maximum(total, 1e-300)[:, None]
    chosen = rows[use]
    probability[chosen] = posterior[use]
    mean = (within * factors) @ share / np.maximum(within @ share, 1e-300)
    factor[np.ix_(chosen, np.arange(k))] = np.where(
        (within @ share)[use] > 1e-200, mean[use], factor[np.ix_(chosen, np.arange(k))]
    )
    low[chosen], high[chosen] = _range(
        within[use] * (weight / np.maximum(size, 1e-12))[use][:, group], factors, (spill * spill_density)[use]
    )
    unexplained = rows[~use]
    low[unexplained] = np.minimum(low[unexplained], factors.min())
    high[unexplained] = np.maximum(high[unexplained], factors.max())
    above = price > np.nanmax(bids) + p["bid_bias_per_mwh"]
    regime[rows[~use]] = np.where(above[~use], "unexplained_high", "unexplained_low")
    regime[rows[negative]] = "negative_price"


def _range(weight: FloatArray, factors: FloatArray, spill: FloatArray) -> tuple[FloatArray, FloatArray]:
    order = np.argsort(factors, kind="stable")
    below = np.cumsum(weight[:, order], axis=1) + spill[:, None]
    whole = below[:, -1:]
    ends = []
    for level in (0.05, 0.95):
        at = np.minimum((below < level * whole).sum(axis=1), len(order) - 1)
        ends.append(np.where(spill >= level * whole[:, 0], 0.0, factors[order][at]))
    return ends[0], ends[1]
