"""The RTS-GMLC test system as a `Network`, and what its units can give in an hour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid.network import Network
from gridmargin.sources import RtsTables
from gridmargin.vocab import G_PER_LB

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

BASE_MVA = 100.0
"""What the reactances of the test system are stated on. [MVA]"""

_PIECES = (1, 2, 3, 4)


@dataclass(frozen=True, slots=True)
class RtsCase:
    """The network and how its units stand to its offers.

    Attributes
    ----------
    network : Network
        Offers are the pieces of each unit's cost curve above its minimum, or all of it where weather bounds it.
    unit_names : tuple of str, length u
    unit_bus : array of int, shape (u,)
    minimum_mw : array, shape (u,)
        Output of a committed unit at its least; zero for weather-bound ones. [MW]
    minimum_cost_usd : array, shape (u,)
        Cost of an hour at the least. [USD h⁻¹]
    start_cost_usd : array, shape (u, 3)
        Of a start from hot, warm and cold. [USD]
    start_after_h : array, shape (u, 2)
        Hours off after which a start is warm, and cold. [h]
    offer_unit : array of int, shape (s,)
        Unit of each offer.
    is_weather_bound : array of bool, shape (u,)
    bus_share : array, shape (b,)
        Share of its area's load at each bus. [1]
    bus_area : array of int, shape (b,)
    """

    network: Network
    unit_names: tuple[str, ...]
    unit_bus: IntArray
    minimum_mw: FloatArray
    minimum_cost_usd: FloatArray
    start_cost_usd: FloatArray
    start_after_h: FloatArray
    offer_unit: IntArray
    is_weather_bound: NDArray[np.bool_]
    bus_share: FloatArray
    bus_area: IntArray

    def hour(
        self, area_load_mw: FloatArray, limit_mw: FloatArray, is_committed: NDArray[np.bool_]
    ) -> tuple[FloatArray, FloatArray, float]:
        """Give demand by bus beyond what committed units give at their least, offers, and the cost of that least.

        Parameters
        ----------
        area_load_mw : array
            Load of each area in the order of the tables. [MW]
        limit_mw : array, shape (u,)
            What weather lets each unit give; ignored for the others. [MW]
        is_committed : array of bool, shape (u,)
        """
        least = np.where(is_committed & ~self.is_weather_bound, self.minimum_mw, 0.0)
        demand = self.bus_share * area_load_mw[self.bus_area]
        np.subtract.at(demand, self.unit_bus, least)
        piece = self.network.offer_mw * is_committed[self.offer_unit]
        offers = np.where(self.is_weather_bound[self.offer_unit], limit_mw[self.offer_unit], piece)
        cost = float(self.minimum_cost_usd[is_committed & ~self.is_weather_bound].sum())
        return demand, offers, cost

    def starts_usd(self, is_committed: NDArray[np.bool_]) -> FloatArray:
        """Give what starts cost in each hour of a commitment; shape (t,). [USD]

        A unit that is off in the first hour is taken to have been off long enough for a cold start.
        """
        t, n = is_committed.shape
        cost, hours_off = np.zeros(t), np.full(n, np.inf)
        for hour in range(t):
            begins = is_committed[hour] & (hours_off > 0) & ~self.is_weather_bound & (hour > 0)
            for unit in np.flatnonzero(begins):
                kind = int((hours_off[unit] >= self.start_after_h[unit]).sum())
                cost[hour] += self.start_cost_usd[unit, kind]
            hours_off = np.where(is_committed[hour], 0.0, hours_off + 1.0)
        return cost


def rts_case(tables: RtsTables) -> RtsCase:
    """Build the case; storage and the solar plant with storage are left out, as in the reference dispatch."""
    bus = tables.bus
    names = tuple(str(b) for b in bus["Bus ID"])
    at = {name: number for number, name in enumerate(names)}

    def index(column: list[int]) -> IntArray:
        return np.array([at[str(b)] for b in column], dtype=np.int64)

    branch, dc = tables.branch, tables.dc_branch
    ratio = branch["Tr Ratio"].cast(float).fill_null(0.0).to_numpy()
    reactance = branch["X"].to_numpy() * np.where(ratio == 0, 1.0, ratio)
    weather = tables.limits_mw()
    units = [
        u for u in tables.gen.to_dicts() if u["PMax MW"] > 0 and u["Unit Type"] not in ("STORAGE", "CSP")
    ]
    offers: list[tuple[int, float, float, float]] = []
    least: list[tuple[float, float]] = []
    for number, unit in enumerate(units):
        if unit["GEN UID"] in weather:
            offers.append((number, float(unit["PMax MW"]), 0.0, 0.0))
            least.append((0.0, 0.0))
            continue
        pieces, at_least = _pieces(unit)
        least.append(at_least)
        offers += [(number, *piece) for piece in pieces]
    unit_of, mw, cost, factor = (np.array(column) for column in zip(*offers, strict=True))
    unit_names = tuple(u["GEN UID"] for u in units)
    unit_bus = index([u["Bus ID"] for u in units])
    unit_of = unit_of.astype(np.int64)
    load = bus["MW Load"].to_numpy().astype(np.float64)
    areas, _ = tables.area_load_mw()
    area = np.array([areas.index(str(a)) for a in bus["Area"]], dtype=np.int64)
    whole = np.bincount(area, weights=load)
    network = Network(
        name="RTS-GMLC",
        bus_names=names,
        branch_from=index(branch["From Bus"].to_list()),
        branch_to=index(branch["To Bus"].to_list()),
        branch_mw_per_rad=BASE_MVA / reactance,
        branch_limit_mw=branch["Cont Rating"].to_numpy().astype(np.float64),
        link_from=index(dc["From Bus"].to_list()),
        link_to=index(dc["To Bus"].to_list()),
        link_limit_mw=dc["MW Load"].to_numpy().astype(np.float64),
        offer_names=tuple(unit_names[u] for u in unit_of),
        offer_bus=unit_bus[unit_of],
        offer_mw=mw,
        offer_cost_per_mwh=cost,
        offer_factor_gco2_per_kwh=factor,
    )
    weather_bound = np.array([u in weather for u in unit_names])
    return RtsCase(
        network, unit_names, unit_bus, np.array([x for x, _ in least]), np.array([x for _, x in least]),
        np.array([_start_costs(u) for u in units]),
        np.array([(u["Start Time Warm Hr"] or 0.0, u["Start Time Cold Hr"] or 0.0) for u in units], dtype=np.float64),
        unit_of,
        weather_bound, load / whole[area], area,
    )  # fmt: skip


def _pieces(unit: dict[str, float]) -> tuple[list[tuple[float, float, float]], tuple[float, float]]:
    """Give (MW, USD/MWh, g/kWh) of each piece of a unit's curve above its least, and (MW, USD/h) at the least."""
    price, most, other = unit["Fuel Price $/MMBTU"], unit["PMax MW"], unit["VOM"] or 0.0
    carbon_g_per_mmbtu = (unit["Emissions CO2 Lbs/MMBTU"] or 0.0) * G_PER_LB
    share = [unit[f"Output_pct_{k}"] for k in (0, *_PIECES)]
    least = (share[0] or 0.0) * most
    at_least_cost = least * ((unit["HR_avg_0"] or 0.0) / 1000.0 * price + other)
    pieces = []
    for k in _PIECES:
        upper, lower, rate = share[k], share[k - 1], unit[f"HR_incr_{k}"]
        if upper is None or lower is None or upper <= lower:
            continue
        heat = (rate or 0.0) / 1000.0
        # g per MMBtu × MMBtu per MWh ÷ 1000 kWh per MWh
        pieces.append(((upper - lower) * most, heat * price + other, heat * carbon_g_per_mmbtu / 1000.0))
    return pieces, (least, at_least_cost)


def _start_costs(unit: dict[str, float]) -> list[float]:
    other = unit["Non Fuel Start Cost $"] or 0.0
    return [
        (unit[f"Start Heat {kind} MBTU"] or 0.0) * unit["Fuel Price $/MMBTU"] + other
        for kind in ("Hot", "Warm", "Cold")
    ]
