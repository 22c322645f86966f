"""UnitFleets from publishers' unit tables: Australia's inventory and Germany's power plants."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid.units import UnitFleet
from gridmargin.reference import UnitDefaults, unit_defaults
from gridmargin.sources import REGIONS, PlantTable, UnitInventory, fuels_of
from gridmargin.vocab import Fuel, TableError

FloatArray = NDArray[np.float64]

OPSD_FUELS = {
    ("Lignite", ""): Fuel.LIGNITE,
    ("Hard coal", ""): Fuel.COAL,
    ("Natural gas", "Combined cycle"): Fuel.GAS_CC,
    ("Natural gas", ""): Fuel.GAS_SIMPLE,
    ("Oil", ""): Fuel.OIL,
}
"""By fuel and technology; an empty technology is any other."""

FAMILY = {Fuel.GAS_CC: Fuel.GAS, Fuel.GAS_SIMPLE: Fuel.GAS}
"""Technologies of a fuel that states may report as one."""

_KG_PER_T = 1000.0


def nem_fleet(inventory: UnitInventory, zone: str | None = None) -> UnitFleet:
    """Make the fleet of the National Electricity Market, or of one of its regions.

    Factors are the operator's, in t/MWh sent out, which is kg/kWh; costs are the inventory's short-run ones in AUD.

    Raises
    ------
    TableError
        If a fuel is not known, or there is no capacity.
    """
    places = {region: ours for ours, region in REGIONS.items()}
    place = [places.get(region, region) for region in inventory.regions]
    keep = np.array([zone is None or at == zone for at in place], dtype=bool)
    fuels = fuels_of(inventory)
    figures = {name: value[keep] for name, value in inventory.figures.items()}
    defaults = unit_defaults()
    outage = np.array([defaults[f].forced_outage_frac if f in defaults else 0.05 for f in fuels])[keep]
    return UnitFleet(
        name=f"NEM units of {zone or 'all regions'}",
        unit_names=_chosen(inventory.names, keep),
        fuels=_chosen(fuels, keep),
        places=_chosen(place, keep),
        capacity_mw=figures["capacity_mw"],
        minimum_mw=figures["minimum_mw"],
        factor_gco2_per_kwh=figures["factor_t_per_mwh"] * _KG_PER_T,
        marginal_cost_per_mwh=figures["marginal_cost_aud_per_mwh"],
        ramp_mw_per_h=figures["ramp_mw_per_h"],
        minimum_up_h=figures["minimum_up_h"],
        minimum_down_h=figures["minimum_down_h"],
        start_cost=figures["start_cost_aud"],
        forced_outage_frac=outage,
        currency="AUD",
        payload_sha256s=(inventory.payload_sha256,),
    )


def german_fleet(
    plants: PlantTable, year: int, fuel_price_eur_per_mwh: Mapping[Fuel, float], zone: str = "DE"
) -> UnitFleet:
    """Make the fossil fleet of Germany, or of a country whose plants stand in the same table, in a year.

    Parameters
    ----------
    plants : PlantTable
        OPSD's list; blocks whose fuel has no row in `OPSD_FUELS` (nuclear, water, waste, biomass) are left out: they
        are given, not dispatched (see docs/methods/merit_order.md).
    year : int
        Blocks commissioned later or shut down by then are left out.
    fuel_price_eur_per_mwh : mapping of Fuel to float
        By heat, for the fixed costs without carbon; states may bring prices that change.
    zone : str
        Where the blocks stand.

    Raises
    ------
    TableError
        If no block is left.

    Notes
    -----
    A block without efficiency takes the capacity-weighted mean of its fuel. What OPSD does not say (least output,
    start cost, ramps, outages) is `unit_defaults.csv`'s.
    """
    chosen = [_opsd_fuel(f, t) for f, t in zip(plants.fuels, plants.technologies, strict=True)]
    keep = plants.in_market(year) & np.array([fuel is not None for fuel in chosen], dtype=bool)
    if not keep.any():
        raise TableError(f"power plants of {zone}: no fossil block is in the market in {year}")
    fuels = tuple(fuel for fuel, kept in zip(chosen, keep, strict=True) if kept and fuel is not None)
    capacity = plants.capacity_mw[keep]
    efficiency = _filled(plants.efficiency[keep], capacity, fuels)
    by_fuel = unit_defaults()
    usual: list[UnitDefaults] = [by_fuel[fuel] for fuel in fuels]

    def column(name: str) -> FloatArray:
        return np.array([getattr(row, name) for row in usual], dtype=np.float64)

    heat_rate = 1.0 / efficiency
    price = np.array([fuel_price_eur_per_mwh[FAMILY.get(fuel, fuel)] for fuel in fuels])
    variable = column("variable_cost_eur_per_mwh")
    return UnitFleet(
        name=f"fossil blocks of {zone} {year}",
        unit_names=_chosen(plants.names, keep),
        fuels=fuels,
        places=(zone,) * len(fuels),
        capacity_mw=capacity,
        minimum_mw=capacity * column("minimum_frac"),
        factor_gco2_per_kwh=heat_rate * column("fuel_kgco2_per_mwh"),
        marginal_cost_per_mwh=heat_rate * price + variable,
        ramp_mw_per_h=capacity * column("ramp_frac_per_h"),
        minimum_up_h=column("minimum_up_h"),
        minimum_down_h=column("minimum_down_h"),
        start_cost=capacity * column("start_cost_eur_per_mw"),
        forced_outage_frac=column("forced_outage_frac"),
        currency="EUR",
        payload_sha256s=(plants.payload_sha256,),
        heat_rate_mwh_per_mwh=heat_rate,
        variable_cost_per_mwh=variable,
    )


def _opsd_fuel(fuel: str, technology: str) -> Fuel | None:
    return OPSD_FUELS.get((fuel, technology)) or OPSD_FUELS.get((fuel, ""))


def _filled(efficiency: FloatArray, capacity: FloatArray, fuels: tuple[Fuel, ...]) -> FloatArray:
    out = efficiency.copy()
    names = np.array([fuel.value for fuel in fuels])
    for fuel in set(names.tolist()):
        mine = names == fuel
        known = mine & (efficiency > 0)
        if not known.any():
            raise TableError(f"power plants: no block of {fuel} has an efficiency")
        out[mine & ~(efficiency > 0)] = np.average(efficiency[known], weights=capacity[known])
    return out


def _chosen(values: tuple | list, keep: NDArray[np.bool_]) -> tuple:  # type: ignore[type-arg]
    return tuple(value for value, kept in zip(values, keep, strict=True) if kept)
