"""UnitFleet: the plants of a zone one by one, with what decides who answers and what it emits."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from gridmargin.vocab import Fuel, TableError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class UnitFleet:
    """Units as arrays of equal length u; NaN where a figure is not known (C2).

    Attributes
    ----------
    name : str
        What fleet this is, for messages.
    unit_names : tuple of str
        Unique.
    fuels : tuple of Fuel
        One a unit.
    places : tuple of str
        Zone or bus that each unit feeds.
    capacity_mw, minimum_mw : array, shape (u,)
        Most, and least while running. [MW]
    factor_gco2_per_kwh : array, shape (u,)
        Direct CO2 of one more kilowatt-hour at the busbar. [g kWh⁻¹]
    marginal_cost_per_mwh : array, shape (u,)
        Fuel and variable cost of one more megawatt-hour, in `currency`, with carbon where no heat rate is given: with
        one, the carbon price of each interval comes on top. [MWh⁻¹]
    ramp_mw_per_h : array, shape (u,)
        Up and down while running. [MW h⁻¹]
    minimum_up_h, minimum_down_h : array, shape (u,)
        Once started, once stopped. [h]
    start_cost : array, shape (u,)
        Of one start, in `currency`.
    forced_outage_frac : array, shape (u,)
        Share of the time that the unit is out unplanned. [1]
    currency : str
        ISO code, such as `EUR`.
    payload_sha256s : tuple of str
        Files it was read from.
    heat_rate_mwh_per_mwh : array, shape (u,), or None
        Fuel energy of one more megawatt-hour (1 ÷ efficiency); with it a unit's cost follows the fuel and carbon
        prices of each interval, without it `marginal_cost_per_mwh` stands. [MWh MWh⁻¹]
    variable_cost_per_mwh : array, shape (u,), or None
        What one more megawatt-hour costs beside fuel and carbon, in `currency`; needed with a heat rate. [MWh⁻¹]
    """

    name: str
    unit_names: tuple[str, ...]
    fuels: tuple[Fuel, ...]
    places: tuple[str, ...]
    capacity_mw: FloatArray
    minimum_mw: FloatArray
    factor_gco2_per_kwh: FloatArray
    marginal_cost_per_mwh: FloatArray
    ramp_mw_per_h: FloatArray
    minimum_up_h: FloatArray
    minimum_down_h: FloatArray
    start_cost: FloatArray
    forced_outage_frac: FloatArray
    currency: str
    payload_sha256s: tuple[str, ...] = ()
    heat_rate_mwh_per_mwh: FloatArray | None = None
    variable_cost_per_mwh: FloatArray | None = None

    def __post_init__(self) -> None:
        n = len(self.unit_names)
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray) and value.shape != (n,):
                raise TableError(f"fleet {self.name}: {field.name} has not one value a unit")
        if len(self.fuels) != n or len(self.places) != n:
            raise TableError(f"fleet {self.name}: fuels and places must have one value a unit")
        if len(set(self.unit_names)) != n:
            twice = sorted({u for u in self.unit_names if self.unit_names.count(u) > 1})
            raise TableError(f"fleet {self.name}: unit {twice[0]} stands twice; merge or rename it")
        bad = ~(self.capacity_mw >= 0)  # NaN is not a capacity either
        if bad.any():
            unit = int(bad.argmax())
            raise TableError(
                f"fleet {self.name}: unit {self.unit_names[unit]} has capacity {self.capacity_mw[unit]} MW"
            )
        for name, wrong, want in (
            ("heat_rate_mwh_per_mwh", self._known("heat_rate_mwh_per_mwh") <= 0, "above zero"),
            ("factor_gco2_per_kwh", self._known("factor_gco2_per_kwh") < 0, "zero or more"),
            ("minimum_mw", self._known("minimum_mw") < 0, "zero or more"),
            ("forced_outage_frac", ~_is_share(self._known("forced_outage_frac")), "from 0 to below 1"),
        ):
            if wrong.any():
                unit = int(wrong.argmax())
                raise TableError(
                    f"fleet {self.name}: unit {self.unit_names[unit]} has {name} {getattr(self, name)[unit]}, want "
                    f"{want}; leave it empty where it is not known"
                )
        if not self.capacity_mw.sum() > 0:
            raise TableError(f"fleet {self.name} has no capacity at all: nothing can be on its margin")

    def __len__(self) -> int:
        return len(self.unit_names)

    def _known(self, name: str) -> FloatArray:
        """Give a column; what is not known is NaN, which no comparison refuses."""
        column = getattr(self, name)
        return np.full(len(self), np.nan) if column is None else np.asarray(column, dtype=np.float64)


def _is_share(value: FloatArray) -> NDArray[np.bool_]:
    return np.asarray(~((value < 0) | (value >= 1)))
