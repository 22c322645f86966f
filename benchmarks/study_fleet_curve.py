"""Which smoothing of EPA's curves says most about another year: the table behind docs/methods/fleet_curve.md.

    python benchmarks/study_fleet_curve.py [DATA_DIR]

Each method is fitted on one region-year and scored on another year of the same region, at 1,200 loads of that year,
each as likely as the next, against EPA's own rate (5 % displaced; 15 % around the load). Errors are relative to the
mean reference; figures are means over pairs. Not run by `make bench`: it judges a choice, not a speed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_smoothing_spline

from gridmargin.grid import FleetResponse, avert_fleet
from gridmargin.marginal.fleet_response import curve_knots, epa_co2, epa_rate
from gridmargin.marginal.smoothing import smoothed_slopes

FloatArray = NDArray[np.float64]
Rate = Callable[[FloatArray, NDArray[np.bool_]], FloatArray]


def _table(
    fleet: FleetResponse, slope_of: Callable[[FloatArray, FloatArray, FloatArray], FloatArray]
) -> Rate:
    """Differentiate both seasons' curves on the knots; flat beyond them."""
    knots, weight = curve_knots(fleet)
    load = fleet.load_mw[knots]
    x = load / np.median(fleet.loads_seen_mw()[0])
    scale = load[0] / x[0] * 1000
    ozone, other = (
        slope_of(x, co2[knots] / scale, weight) for co2 in (fleet.co2_g_per_h_ozone, fleet.co2_g_per_h_other)
    )
    return lambda mw, is_ozone: np.where(is_ozone, np.interp(mw, load, ozone), np.interp(mw, load, other))


def spline(penalty: float) -> Callable[[FleetResponse], Rate]:
    return lambda fleet: _table(fleet, lambda x, y, w: smoothed_slopes(x, y[:, None], w, penalty)[1][:, 0])


def spline_gcv(fleet: FleetResponse) -> Rate:
    return _table(fleet, lambda x, y, w: make_smoothing_spline(x, y).derivative()(x))  # noqa: ARG005


def polynomial(degree: int) -> Callable[[FleetResponse], Rate]:
    def slope(x: FloatArray, y: FloatArray, w: FloatArray) -> FloatArray:
        return np.polyval(np.polyder(np.polyfit(x, y, degree, w=np.sqrt(w))), x)

    return lambda fleet: _table(fleet, slope)


def lowess(width: float) -> Callable[[FleetResponse], Rate]:
    def slope(x: FloatArray, y: FloatArray, w: FloatArray) -> FloatArray:  # noqa: ARG001
        near = np.clip(1 - np.abs((x[None] - x[:, None]) / width) ** 3, 1e-6, None) ** 3
        total = near.sum(axis=1)
        dx = x[None] - (near @ x / total)[:, None]
        dy = y[None] - (near @ y / total)[:, None]
        return (near * dx * dy).sum(axis=1) / (near * dx**2).sum(axis=1)

    return lambda fleet: _table(fleet, slope)


def secant(half_share: float) -> Callable[[FleetResponse], Rate]:
    def rate(fleet: FleetResponse) -> Rate:
        def at(mw: FloatArray, is_ozone: NDArray[np.bool_]) -> FloatArray:
            up, down = mw * (1 + half_share), mw * (1 - half_share)
            return (epa_co2(fleet, up, is_ozone) - epa_co2(fleet, down, is_ozone)) / (1000 * (up - down))

        return at

    return rate


def constant(fleet: FleetResponse) -> Rate:
    mean = float(epa_rate(fleet, *fleet.loads_seen_mw(), 0.05).mean())
    return lambda mw, is_ozone: np.full(len(mw), mean)  # noqa: ARG005


METHODS: dict[str, Callable[[FleetResponse], Rate]] = {
    "constant": constant,
    "bins as they are": secant(1e-4),
    **{f"secant +-{share:.0%}": secant(share) for share in (0.05, 0.1, 0.2, 0.4)},
    **{f"polynomial {degree}": polynomial(degree) for degree in (1, 2, 3, 4)},
    **{f"local line {width}": lowess(width) for width in (0.1, 0.2, 0.3, 0.5)},
    "spline, GCV": spline_gcv,
    **{f"spline {penalty:g}": spline(penalty) for penalty in (1e-6, 1e-5, 1e-4, 2e-4, 5e-4, 1e-3, 1e-2)},
}

SPLITS: dict[str, Callable[[int, int], bool]] = {
    "any year against any other, 2019-2021 (the choice)": lambda a, b: max(a, b) <= 2021,
    "next year, 2019-2021": lambda a, b: b == a + 1 <= 2021,
    "2021 against 2022 (not used to choose)": lambda a, b: (a, b) == (2021, 2022),
}


def scores(
    pairs: list[tuple[FleetResponse, FleetResponse]], method: Callable[[FleetResponse], Rate]
) -> Iterator[float]:
    rows = []
    for known, then in pairs:
        load, is_ozone = then.loads_seen_mw()
        estimate = method(known)(load, is_ozone)
        row = []
        for reference in (epa_rate(then, load, is_ozone, 0.05), secant(0.075)(then)(load, is_ozone)):
            error, mean = estimate - reference, reference.mean()
            r = np.corrcoef(estimate, reference)[0, 1] if np.ptp(estimate) > 1e-6 else np.nan
            row += [np.sqrt((error**2).mean()) / mean, abs(error.mean()) / mean, r]
        rows.append(row)
    return iter(np.mean(rows, axis=0).tolist())


def main() -> int:
    named = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("GRIDMARGIN_DATA", "../shared/data")
    newest = avert_fleet(Path(named), "Texas", 2022)
    if newest is None:
        print(f"left out: no AVERT tables under {named}")
        return 0
    known = [*newest.earlier, newest]
    for title, chosen in SPLITS.items():
        pairs = [(a, b) for a, b in permutations(known, 2) if a.region == b.region and chosen(a.year, b.year)]
        print(f"\n{title}: {len(pairs)} pairs")
        print(f"{'method':18s} 5 %: rmse  |bias|      r   15 %: rmse  |bias|      r")
        for name, method in METHODS.items():
            five, five_bias, five_r, wide, wide_bias, wide_r = scores(pairs, method)
            print(
                f"{name:18s} {five:9.3f} {five_bias:7.3f} {five_r:6.2f} {wide:12.3f} {wide_bias:7.3f} {wide_r:6.2f}"
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
