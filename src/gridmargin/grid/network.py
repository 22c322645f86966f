"""Network: buses, branches and offers of one area, as a DC power flow sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridmargin.vocab import TableError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Network:
    """What a dispatch needs to know; b buses, l branches, d controllable links, s offers.

    Attributes
    ----------
    name : str
        What network this is, for messages.
    bus_names : tuple of str, length b
        Unique.
    branch_from, branch_to : array of int, shape (l,)
        Bus indices.
    branch_mw_per_rad : array, shape (l,)
        Flow for one radian of angle between its ends. [MW rad⁻¹]
    branch_limit_mw : array, shape (l,)
        Either way; infinite where there is none. [MW]
    link_from, link_to : array of int, shape (d,)
        Bus indices of links whose flow is chosen, such as direct-current lines.
    link_limit_mw : array, shape (d,)
        [MW]
    offer_names : tuple of str, length s
        Unit of each offer; a unit with a bent cost curve has one offer a piece.
    offer_bus : array of int, shape (s,)
        Bus indices.
    offer_mw : array, shape (s,)
        Most of it, beyond `fixed_mw`. [MW]
    offer_cost_per_mwh : array, shape (s,)
        Increasing within a unit. [MWh⁻¹]
    offer_factor_gco2_per_kwh : array, shape (s,)
        Direct CO2 of one more kilowatt-hour from it. [g kWh⁻¹]
    """

    name: str
    bus_names: tuple[str, ...]
    branch_from: IntArray
    branch_to: IntArray
    branch_mw_per_rad: FloatArray
    branch_limit_mw: FloatArray
    link_from: IntArray
    link_to: IntArray
    link_limit_mw: FloatArray
    offer_names: tuple[str, ...]
    offer_bus: IntArray
    offer_mw: FloatArray
    offer_cost_per_mwh: FloatArray
    offer_factor_gco2_per_kwh: FloatArray

    def __post_init__(self) -> None:
        where = f"network {self.name}"
        n = len(self.bus_names)
        if len(set(self.bus_names)) != n:
            twice = sorted({b for b in self.bus_names if self.bus_names.count(b) > 1})
            raise TableError(f"{where}: bus {twice[0]} stands twice; rename one")
        for ends in ("branch_from", "branch_to", "link_from", "link_to", "offer_bus"):
            index = getattr(self, ends)
            if len(index) and not (index.min() >= 0 and index.max() < n):
                raise TableError(f"{where}: {ends} names a bus that is not there")
        for name in ("branch_mw_per_rad", "offer_mw", "offer_cost_per_mwh", "offer_factor_gco2_per_kwh"):
            bad = ~np.isfinite(getattr(self, name))
            if bad.any():
                raise TableError(f"{where}: {name} of number {int(bad.argmax())} is not a number; give one")
        if (self.branch_mw_per_rad == 0).any():
            at = int((self.branch_mw_per_rad == 0).argmax())
            raise TableError(f"{where}: branch {at} conducts nothing; remove it, or give its reactance")
        if (self.offer_mw < 0).any() or not self.offer_mw.sum() > 0:
            raise TableError(f"{where}: offers have no capacity, or less than none")
        n_parts, part = _parts(
            n, np.r_[self.branch_from, self.link_from], np.r_[self.branch_to, self.link_to]
        )
        if n_parts > 1:
            lonely = np.bincount(part).argmin()
            names = [self.bus_names[i] for i in np.flatnonzero(part == lonely)]
            raise TableError(
                f"{where}: {', '.join(names[:5])}{' …' if len(names) > 5 else ''} hang together with no other bus; add the"
                " branch, or make them a network of their own"
            )

    def references(self) -> IntArray:
        """Give one bus of each part that alternating-current branches hold together: its angle is zero."""
        _, part = _parts(len(self.bus_names), self.branch_from, self.branch_to)
        return np.unique(part, return_index=True)[1].astype(np.int64)


def _parts(n_buses: int, first: IntArray, second: IntArray) -> tuple[int, IntArray]:
    """Give how many parts edges leave of a network, and the part of each bus."""
    # Loading SciPy takes longer than most answers that need no network.
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    edges = coo_matrix((np.ones(len(first)), (first, second)), shape=(n_buses, n_buses))
    n_parts, part = connected_components(edges, directed=False)
    return int(n_parts), part
