"""Curtailment: where wind or sun is turned down for want of load, one more kilowatt-hour of load emits nothing.

That holds for the whole zone only where no constraint stands between the curtailed plants and the load, which the
price tells; otherwise it holds behind the constraint alone. docs/methods/curtailment.md weighs the signs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import GridStates
from gridmargin.marginal.estimate import Estimates
from gridmargin.marginal.modifier import Change, state_rows

FloatArray = NDArray[np.float64]

PRICES = (
    "price_usd_per_mwh",
    "price_eur_per_mwh",
    "price_aud_per_mwh",
    "price_cad_per_mwh",
    "price_gbp_per_mwh",
)


@dataclass(frozen=True, slots=True)
class Curtailment:
    """Puts curtailed power on the margin.

    Attributes
    ----------
    least_mw : float
        Curtailment below this is metering and local trouble. [MW]
    price_at_most : float
        A zonal price up to this says that no plant with a fuel cost is needed. [currency MWh⁻¹]
    behind_constraint : bool
        Whether the load sits with the curtailed plants, behind what constrains them.
    """

    least_mw: float = 10.0
    price_at_most: float = 0.0
    behind_constraint: bool = False

    name = "curtailment"
    version = "1"

    def parameters(self) -> dict[str, Any]:
        """Give all that decides what it does."""
        return {
            "least_mw": self.least_mw,
            "price_at_most": self.price_at_most,
            "behind_constraint": self.behind_constraint,
        }

    def changes(self, estimates: Estimates, states: GridStates) -> tuple[list[Change], str]:
        """Set the factor to 0 where curtailment is the zone's, or the load's own; widen to 0 where it may be.

        Notes
        -----
        ================  ======================  ==========================
        curtailment       price                   the margin
        ================  ======================  ==========================
        at least the MW   at most the limit       0, all of it
        at least the MW   above                   as before; 0 behind the constraint
        at least the MW   not known               as before, range down to 0; 0 behind the constraint
        not known         at most the limit       as before, range down to 0
        ================  ======================  ==========================

        The upper end stays what it was: that the signs say so does not make it certain.
        """
        row = state_rows(estimates, states)
        curtailed_mw = states.values("curtailment_mw")[row]
        price = _price(states)[row]
        curtails = curtailed_mw >= self.least_mw
        free = price <= self.price_at_most
        zero = curtails & (free | self.behind_constraint)
        maybe = ~zero & ((curtails & np.isnan(price)) | (np.isnan(curtailed_mw) & free))
        chosen = np.flatnonzero(zero | maybe).astype(np.int64)
        nothing = np.zeros(len(chosen))
        share = zero[chosen].astype(np.float64)
        high = estimates.high[chosen]
        where = (
            "behind the constraint"
            if self.behind_constraint
            else "where the price says that it is the zone's"
        )
        return (
            [Change(chosen, "curtailed", share, nothing, nothing, high)],
            f"curtailment of {self.least_mw:g} MW or more answers {where}",
        )


def _price(states: GridStates) -> FloatArray:
    """Give the price in whichever currency is stated; its sign is all that counts here."""
    price = np.full(len(states), np.nan)
    for column in PRICES:
        price = np.where(np.isnan(price), states.values(column), price)
    return price
