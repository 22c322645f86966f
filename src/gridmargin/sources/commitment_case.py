"""Thermal units with their limits, and the demand and reserve of some hours: what a unit commitment decides on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CommitmentCase:
    """One unit commitment; arrays are over g thermal units, h hours, k steps of cost and s kinds of start.

    Attributes
    ----------
    name : str
        What the case is called.
    unit_names : tuple of str
        Thermal units.
    demand_mw, reserve_mw : array, shape (h,)
        What must be served, and what must stand ready above it. [MW]
    weather_min_mw, weather_max_mw : array, shape (h,)
        Least and most of all renewable generators together, which cost nothing. [MW]
    must_run : array of bool, shape (g,)
        True where the unit may not be off.
    minimum_mw, maximum_mw : array, shape (g,)
        Output limits while on. [MW]
    ramp_up_mw, ramp_down_mw : array, shape (g,)
        Most change of the output above the minimum from hour to hour. [MW]
    start_mw, stop_mw : array, shape (g,)
        Most output in the hour of a start, and in the last hour before a stop. [MW]
    up_h, down_h : array of int, shape (g,)
        Least hours on after a start, and off after a stop. [h]
    was_on : array of bool, shape (g,)
        State before the first hour.
    was_for_h : array of int, shape (g,)
        How long that state had lasted. [h]
    was_mw : array, shape (g,)
        Output before the first hour. [MW]
    least_cost : array, shape (g,)
        Cost of an hour at the minimum. [USD h⁻¹]
    step_mw, step_cost_per_mwh : array, shape (g, k)
        Width and price of each step above the minimum, cheapest first, zero wide where there is none. [MW, USD MWh⁻¹]
    lag_h : array of int, shape (g, s)
        Hours off from which a kind of start applies, −1 where there is none. [h]
    start_cost : array, shape (g, s)
        Its cost. [USD]
    """

    name: str
    unit_names: tuple[str, ...]
    demand_mw: FloatArray
    reserve_mw: FloatArray
    weather_min_mw: FloatArray
    weather_max_mw: FloatArray
    must_run: BoolArray
    minimum_mw: FloatArray
    maximum_mw: FloatArray
    ramp_up_mw: FloatArray
    ramp_down_mw: FloatArray
    start_mw: FloatArray
    stop_mw: FloatArray
    up_h: IntArray
    down_h: IntArray
    was_on: BoolArray
    was_for_h: IntArray
    was_mw: FloatArray
    least_cost: FloatArray
    step_mw: FloatArray
    step_cost_per_mwh: FloatArray
    lag_h: IntArray
    start_cost: FloatArray

    def start_cost_after(self, hours_off: IntArray) -> FloatArray:
        """Give the cost of starting every unit after so many hours off; shape (g,). [USD]

        Notes
        -----
        The kind of start is the one of greatest lag that is not above the hours off; off for less than the least lag
        counts as the first kind.
        """
        applies = (self.lag_h >= 0) & (self.lag_h <= hours_off[:, None])
        kind = np.maximum(applies.sum(axis=1) - 1, 0)
        cost: FloatArray = self.start_cost[np.arange(len(kind)), kind]
        return cost
