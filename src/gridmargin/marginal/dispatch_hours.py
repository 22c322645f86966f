"""Dispatch over several intervals that ramps and stores tie together: what one more megawatt-hour does then, and in all.

One linear programme of every interval. With y_all = B⁻ᵀ e over all intervals and y_h = B⁻ᵀ e_h with the emissions of
interval h alone, the total effect of one more megawatt-hour at bus n in interval h is y_all at that balance, and the
effect within the interval itself y_h at the same place. The two differ where a store or a ramp carries the answer to
another interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import block_diag, csc_matrix, csr_matrix, hstack, vstack

from gridmargin.grid import Network
from gridmargin.marginal.dispatch import balance_matrix, passed
from gridmargin.vocab import InputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Stores:
    """Storage at buses; arrays of equal length k.

    Attributes
    ----------
    bus : array of int
    power_mw : array
        Most, charging and discharging. [MW]
    energy_mwh : array
        Most it holds. [MWh]
    first_mwh : array
        What it holds before the first interval and at least after the last. [MWh]
    efficiency_frac : array
        Energy out over energy in, for the whole turn. [1]
    """

    bus: IntArray
    power_mw: FloatArray
    energy_mwh: FloatArray
    first_mwh: FloatArray
    efficiency_frac: FloatArray

    def __post_init__(self) -> None:
        if not ((self.efficiency_frac > 0) & (self.efficiency_frac <= 1)).all():
            raise InputError(
                "a store gives back more than it took, or nothing: its efficiency is above 0, at most 1"
            )
        if not ((self.first_mwh >= 0) & (self.first_mwh <= self.energy_mwh)).all():
            raise InputError("a store begins with more than it holds, or less than nothing")


NO_STORES = Stores(np.empty(0, np.int64), np.empty(0), np.empty(0), np.empty(0), np.empty(0))


@dataclass(frozen=True, slots=True)
class HourlyRates:
    """Emissions of one more kilowatt-hour by interval and bus; arrays of shape (t, b). [g kWh⁻¹]

    Attributes
    ----------
    own : array
        Within the interval itself.
    total : array
        Over all intervals.
    """

    own: FloatArray
    total: FloatArray


def dispatch_stretch(
    network: Network,
    demand_mw: FloatArray,
    offer_mw: FloatArray,
    *,
    unit_of_offer: IntArray | None = None,
    ramp_mw: FloatArray | None = None,
    stores: Stores = NO_STORES,
    interval_h: float = 1.0,
) -> tuple[HourlyRates, FloatArray]:
    """Dispatch t intervals together.

    Parameters
    ----------
    demand_mw : array, shape (t, b)
        [MW]
    offer_mw : array, shape (t, s)
        Most of each offer. [MW]
    unit_of_offer : array of int, shape (s,), optional
        Which unit each offer belongs to; needed with ramps.
    ramp_mw : array, shape (u,), optional
        Most that a unit's output changes from one interval to the next. [MW]
    interval_h : float
        Length of an interval. [h]

    Returns
    -------
    HourlyRates
    array, shape (t, s)
        Output of each offer. [MW]

    Raises
    ------
    InputError
        If no dispatch serves the demand.
    """
    t, k = len(demand_mw), len(stores.bus)
    n, s = len(network.bus_names), len(network.offer_names)
    one = balance_matrix(network)
    rows_one, columns_one = one.shape
    d = len(network.link_from)
    blocks = block_diag([one] * t, format="csr")
    put = csr_matrix((np.ones(k), (stores.bus, np.arange(k))), shape=(rows_one, k))
    store_balance = block_diag([hstack([-put, put, csr_matrix((rows_one, k))])] * t, format="csr")
    parts = [hstack([blocks, store_balance])]
    row_lower = [np.concatenate([demand_mw[h], -network.branch_limit_mw]) for h in range(t)]
    row_upper = [np.concatenate([demand_mw[h], network.branch_limit_mw]) for h in range(t)]
    if ramp_mw is not None and unit_of_offer is not None and t > 1:
        of_unit = csr_matrix((np.ones(s), (unit_of_offer, np.arange(s))), shape=(len(ramp_mw), s))
        wide = hstack([of_unit, csr_matrix((len(ramp_mw), columns_one - s))])
        change = vstack(
            [
                hstack(
                    [-wide if h == at else wide if h == at + 1 else csr_matrix(wide.shape) for h in range(t)]
                )
                for at in range(t - 1)
            ]
        )
        parts.append(hstack([change, csr_matrix((change.shape[0], 3 * k * t))]))
        row_lower.append(np.tile(-ramp_mw, t - 1))
        row_upper.append(np.tile(ramp_mw, t - 1))
    if k:
        parts.append(hstack([csr_matrix((k * t, columns_one * t)), _levels(stores, t, interval_h)]))
        carried = np.concatenate([stores.first_mwh, np.zeros(k * (t - 1))])
        row_lower.append(carried)
        row_upper.append(carried)
    matrix = csc_matrix(vstack(parts))
    angle = np.full(n, np.inf)
    angle[network.references()] = 0.0
    link = network.link_limit_mw
    lower = np.concatenate([np.tile(np.concatenate([np.zeros(s), -link, -angle]), t), np.zeros(3 * k * t)])
    upper = np.concatenate(
        [*(np.concatenate([offer_mw[h], link, angle]) for h in range(t)), _most(stores, t)]
    )
    if k:  # what was borrowed from the first interval is given back in the last
        lower[-k:] = stores.first_mwh
    cost = np.concatenate(
        [np.tile(np.concatenate([network.offer_cost_per_mwh, np.zeros(d + n)]), t), np.zeros(3 * k * t)]
    )
    highs = passed(
        matrix, cost * interval_h, lower, upper, np.concatenate(row_lower), np.concatenate(row_upper)
    )
    highs.run()
    if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        raise InputError(
            f"{network.name}: no dispatch of {t} intervals is possible: demand up to {demand_mw.sum(axis=1).max():.1f} MW,"
            f" {offer_mw.sum(axis=1).min():.1f} MW offered at the least; loosen the ramps or add capacity"
        )
    output = np.array(highs.getSolution().col_value)[: columns_one * t].reshape(t, columns_one)[:, :s]
    return _rates(highs, network, t, rows_one, columns_one), output


def _rates(highs: Any, network: Network, t: int, rows_one: int, columns_one: int) -> HourlyRates:
    n, s = len(network.bus_names), len(network.offer_names)
    _, basic = highs.getBasicVariables()
    columns = np.asarray(basic)
    hour, place = np.divmod(np.maximum(columns, 0), columns_one)
    is_offer = (columns >= 0) & (hour < t) & (place < s)
    emission = np.where(is_offer, network.offer_factor_gco2_per_kwh[np.where(is_offer, place, 0)], 0.0)

    def by_bus(e_basic: FloatArray) -> FloatArray:
        _, y = highs.getBasisTransposeSolve(e_basic)
        return np.asarray(y)[: rows_one * t].reshape(t, rows_one)[:, :n]

    own = np.stack([by_bus(np.where(hour == h, emission, 0.0))[h] for h in range(t)])
    return HourlyRates(own=own, total=by_bus(emission))


def _levels(stores: Stores, t: int, interval_h: float) -> csr_matrix:
    """Level of each interval = level before + charged · efficiency − discharged; columns charge, discharge, level."""
    k = len(stores.bus)
    eye = np.arange(k)
    gain = csr_matrix((-interval_h * stores.efficiency_frac, (eye, eye)), shape=(k, k))
    loss = csr_matrix((np.full(k, interval_h), (eye, eye)), shape=(k, k))
    level = csr_matrix((np.ones(k), (eye, eye)), shape=(k, k))
    rows = []
    for h in range(t):
        row = [csr_matrix((k, 3 * k)) for _ in range(t)]
        row[h] = hstack([gain, loss, level])
        if h:
            row[h - 1] = hstack([csr_matrix((k, 2 * k)), -level])
        rows.append(hstack(row))
    return csr_matrix(vstack(rows))


def _most(stores: Stores, t: int) -> FloatArray:
    return np.tile(np.concatenate([stores.power_mw, stores.power_mw, stores.energy_mwh]), t)
