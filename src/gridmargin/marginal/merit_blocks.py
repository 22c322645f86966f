"""From a fleet to the blocks of its stack: who is in it, what is learned of it, what each block bids."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import (
    FAMILY,
    GridStates,
    UnitFleet,
    carbon_price_column,
    fuel_price_column,
)
from gridmargin.marginal.stack import Blocks
from gridmargin.vocab import FOSSIL, Fuel

FloatArray = NDArray[np.float64]

STORES = (Fuel.PUMPED, Fuel.BATTERY)
"""What a store gives, something of the stack would have to make without it."""

MAX_NAMED_UNITS = 40
"""A stack of more units names its sources by fuel."""

DEFAULT_OUTAGE_FRAC = 0.08
"""Where a unit's outage rate is not known: between NERC GADS's combined-cycle and steam-coal rates."""

UNTRAINED_SD_FRAC = 0.02
"""Standard deviation of the residual load where there is no past to learn it from, of all capacity: about a day-ahead
forecast error of wind and sun together."""

FULL_OUTPUT_QUANTILE = 0.999
"""The most that a fuel's plants were seen to give: nine hours of a year may be better."""

_REPORTED_FRAC = 0.5
_KG_PER_T = 1000.0


def stack_units(fleet: UnitFleet) -> NDArray[np.int64]:
    """Say which units of a fleet are in the stack: fossil ones with capacity and a known factor and cost."""
    fossil = np.array([fuel in FOSSIL for fuel in fleet.fuels], dtype=bool)
    known = np.isfinite(fleet.factor_gco2_per_kwh) & np.isfinite(fleet.marginal_cost_per_mwh)
    return np.flatnonzero(fossil & known & (fleet.capacity_mw > 0))


def residual_columns(history: GridStates) -> dict[str, list[str]]:
    """Say which columns make the load that the stack has to serve.

    Returns
    -------
    dict
        `plus` and `minus`: fossil and store generation where any fossil fuel is reported; else demand less net
        imports and all other generation. Empty where neither is known.
    """

    def reported(column: str) -> bool:
        return bool(np.isfinite(history.values(column)).sum() >= max(_REPORTED_FRAC * len(history), 1))

    generation = {f: f"generation_{f.value}_mw" for f in history.fuels}
    fossil = [c for f, c in generation.items() if f in FOSSIL and reported(c)]
    if fossil:
        stores = [c for f, c in generation.items() if f in STORES and reported(c)]
        return {"plus": fossil + stores, "minus": []}
    if not reported("demand_mw"):
        return {}
    others = [c for f, c in generation.items() if f not in FOSSIL and f not in STORES and reported(c)]
    imports = ["net_imports_mw"] if reported("net_imports_mw") else []
    return {"plus": ["demand_mw"], "minus": others + imports}


def residual_mw(states: GridStates, columns: dict[str, list[str]]) -> FloatArray:
    """Give the load on the stack, NaN where a part is not known; shape (n,). [MW]"""
    total = np.zeros(len(states))
    for column in columns["plus"]:
        total = total + states.values(column)
    for column in columns["minus"]:
        total = total - states.values(column)
    return total


def price_columns(states: GridStates, p: dict[str, Any]) -> list[str]:
    """Name the fuel and carbon price columns that these states bring for this stack; empty for fixed costs.

    A fuel without a column keeps the price that is in the fleet's own costs.
    """
    if p["heat_rate_mwh_per_mwh"] is None:
        return []
    families = sorted({FAMILY.get(Fuel(fuel), Fuel(fuel)) for fuel in p["fuels"]})
    wanted = [fuel_price_column(fuel, p["currency"]) for fuel in families]
    wanted.append(carbon_price_column(p["currency"]))
    return [column for column in wanted if column in states.frame.columns]


def stack_parameters(
    fleet: UnitFleet, history: GridStates | None, committed_minimum_mw: FloatArray | None
) -> dict[str, Any]:
    """Put a fleet, and what the past says of it, into plain JSON.

    Parameters
    ----------
    history : GridStates or None
        None for costs alone: nothing is learned.
    committed_minimum_mw : array, shape (u,), or None
        Output of each unit of the fleet that is committed and will run whatever the load: it lies at the bottom of
        the stack and is never the one that answers. None where no commitment is known; then the least output of
        each unit bids less than its cost, see `blocks_at`. [MW]

    Notes
    -----
    Learned from the past alone: how much of the listed capacity of a fuel was ever seen to run (a fleet table and a
    publisher's generation rarely count the same plants), and how far the load moves from one interval to the next.
    """
    units = stack_units(fleet)
    rate = None if fleet.heat_rate_mwh_per_mwh is None else fleet.heat_rate_mwh_per_mwh[units]
    variable = None if fleet.variable_cost_per_mwh is None else fleet.variable_cost_per_mwh[units]
    if rate is None or variable is None or not np.isfinite(rate).all() or not np.isfinite(variable).all():
        rate = variable = None
    fuels = [fleet.fuels[at] for at in units]
    capacity = fleet.capacity_mw[units]
    outage = np.nan_to_num(fleet.forced_outage_frac[units], nan=DEFAULT_OUTAGE_FRAC)
    minimum = np.minimum(np.nan_to_num(fleet.minimum_mw[units]), capacity)
    seen = dict.fromkeys(sorted({FAMILY.get(fuel, fuel).value for fuel in fuels}), 1.0)
    columns = None if history is None else residual_columns(history)
    load_sd = UNTRAINED_SD_FRAC * float(capacity.sum())
    if history is not None and columns:
        for fuel in seen:
            seen[fuel] = _seen_frac(history, Fuel(fuel), fuels, capacity * (1 - outage))
        moves = np.diff(residual_mw(history, columns))
        moves = moves[np.isfinite(moves)]
        if len(moves) > 1 and moves.std() > 0:  # a load that never moved taught nothing of its error
            load_sd = float(moves.std())
    scale = np.array([seen[FAMILY.get(fuel, fuel).value] for fuel in fuels])
    committed = np.zeros(len(units)) if committed_minimum_mw is None else committed_minimum_mw[units]
    avoided = np.nan_to_num(fleet.start_cost[units] / np.maximum(minimum, 1e-9), nan=0.0)
    hours = np.maximum(np.nan_to_num(fleet.minimum_down_h[units], nan=1.0), 1.0)
    return {
        "units": [fleet.unit_names[at] for at in units],
        "fuels": [fuel.value for fuel in fuels],
        "capacity_mw": (capacity * scale).tolist(),
        "minimum_mw": (minimum * scale).tolist(),
        "committed_mw": (np.clip(committed, 0.0, capacity) * scale).tolist(),
        "factor_gco2_per_kwh": fleet.factor_gco2_per_kwh[units].tolist(),
        "marginal_cost_per_mwh": fleet.marginal_cost_per_mwh[units].tolist(),
        "discount_per_mwh": (avoided / hours).tolist(),
        "outage_frac": outage.tolist(),
        "heat_rate_mwh_per_mwh": None if rate is None else rate.tolist(),
        "variable_cost_per_mwh": None if variable is None else variable.tolist(),
        "currency": fleet.currency,
        "seen_frac": seen,
        "load_sd_mw": load_sd,
        "residual": columns,
        "sources": sorted({f.value for f in fuels})
        if len(units) > MAX_NAMED_UNITS
        else [fleet.unit_names[at] for at in units],
    }


def blocks_at(p: dict[str, Any], prices: dict[str, float]) -> Blocks:
    """Give the blocks of a stack at one set of fuel and carbon prices; none for its fixed costs.

    Notes
    -----
    cost = heat rate × fuel price + factor × carbon price + variable cost

    The part above the least output bids that cost. The least output itself bids less: stopping would save the cost for
    the hours until the unit may run again, but cost a start,

    bid = cost − start cost ÷ (least output × least hours down)

    which is how a unit that must soon run again offers below cost, at times below zero. A committed part bids nothing
    and lies below all others.
    """
    cost = _costs(p, prices)
    capacity, minimum, committed = (
        np.array(p[name]) for name in ("capacity_mw", "minimum_mw", "committed_mw")
    )
    factor, outage = np.array(p["factor_gco2_per_kwh"]), np.array(p["outage_frac"])
    by_fuel = p["sources"] != p["units"]
    group = np.array(
        [p["sources"].index(name) for name in (p["fuels"] if by_fuel else p["units"])], dtype=np.int64
    )
    lower = np.maximum(minimum - committed, 0.0)
    parts = [
        (committed, np.full(len(cost), min(float(cost.min()), 0.0) - 1e6)),
        (lower, cost - np.array(p["discount_per_mwh"])),
        (np.maximum(capacity - committed - lower, 0.0), cost),
    ]
    mw = np.concatenate([part for part, _ in parts])
    bid = np.concatenate([bids for _, bids in parts])
    keep = mw > 0
    return Blocks(
        capacity_mw=mw[keep],
        bid_per_mwh=bid[keep],
        factor_gco2_per_kwh=np.tile(factor, 3)[keep],
        outage_frac=np.tile(outage, 3)[keep],
        group=np.tile(group, 3)[keep],
    )


def reference_cost(p: dict[str, Any], prices: dict[str, float]) -> float:
    """Give the capacity-weighted mean cost of the stack: how dear power is, whoever makes it. [MWh⁻¹]"""
    return float(np.average(_costs(p, prices), weights=np.array(p["capacity_mw"])))


def _costs(p: dict[str, Any], prices: dict[str, float]) -> FloatArray:
    if not prices:
        return np.array(p["marginal_cost_per_mwh"])
    currency, rate = p["currency"], np.array(p["heat_rate_mwh_per_mwh"])
    variable = np.array(p["variable_cost_per_mwh"])
    own = (np.array(p["marginal_cost_per_mwh"]) - variable) / rate
    columns = {f: fuel_price_column(FAMILY.get(Fuel(f), Fuel(f)), currency) for f in set(p["fuels"])}
    paid = {f: prices.get(column, np.nan) for f, column in columns.items()}
    given = np.array([paid[f] for f in p["fuels"]])
    fuel = np.where(np.isnan(given), own, given)
    carbon = prices.get(carbon_price_column(currency), 0.0) / _KG_PER_T
    return np.asarray(rate * fuel + np.array(p["factor_gco2_per_kwh"]) * carbon + variable, dtype=np.float64)


def _seen_frac(history: GridStates, family: Fuel, fuels: list[Fuel], available_mw: FloatArray) -> float:
    mine = [fuel for fuel in history.fuels if FAMILY.get(fuel, fuel) is family]
    total = np.zeros(len(history))
    for fuel in mine:
        total = total + history.generation_mw(fuel)
    known = total[np.isfinite(total)]
    listed = sum(mw for fuel, mw in zip(fuels, available_mw, strict=True) if FAMILY.get(fuel, fuel) is family)
    if not mine or not len(known):
        return 1.0
    most = float(np.quantile(known, FULL_OUTPUT_QUANTILE))
    # A fuel that never ran is still there: a tenth keeps it on the stack.
    return float(np.clip(most / listed, 0.1, 2.0))
