"""How far a fleet curve may be off: one year's slope against EPA's own rate of another year, all regions together.

The residual is against what AVERT says of a 5 % displacement (`epa_rate`). It is measured in the geometric mean of
the estimate and the region's roughness, so that a region whose curve jumps more from bin to bin gets a wider range,
half as much wider as its own roughness alone would say.
"""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import FleetResponse
from gridmargin.marginal.conformal import ALL, WIDEN_BY_STATUS, calibrate
from gridmargin.marginal.fleet_response import SHARE_FRAC, ResponseSlope, epa_rate, response_slope
from gridmargin.vocab import InputError, Status, TableError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

COVERAGE = 0.9
YEAR_TO_YEAR = "year_to_year"
SPLIT_HALVES = "split_halves"

_BLOCK = 3  # bins: about what a 5 % displacement spans, so that a half never sees its own reference


def calibrate_range(fleet: FleetResponse) -> tuple[dict[str, Any], str]:
    """Calibrate the range of a fleet's slope on what was known with it.

    Returns
    -------
    table : dict
        For `conformal.apply`; offsets in units of √(estimate × roughness).
    basis : str
        `year_to_year`: every ordered pair of two years of one region, all regions pooled. `split_halves`, where no
        region has two years: half of the bins against EPA's rate on the other half, which holds the scatter of the
        curves but not how fleets change from year to year; it is widened as an imputed value is.

    Notes
    -----
    Residuals of one region and year belong together, so n of those are n clusters, not thousands of hours. For a new
    cluster to be covered, the pooled quantile is taken at 0.9 (1 + 1/n): split conformal prediction over groups,
    as in Dunn, Wasserman and Ramdas, JASA 2023, doi:10.1080/01621459.2022.2060112.
    """
    known = [*fleet.earlier, fleet]
    slopes = {id(response): response_slope(response) for response in known}
    pairs = [(a, b) for a, b in permutations(known, 2) if a.region == b.region]
    if pairs:
        parts = [_year_to_year(a, slopes[id(a)], b) for a, b in pairs]
        clusters = len({(b.region, b.year) for _, b in pairs})
        table = calibrate(
            np.concatenate([score for score, _ in parts]),
            np.concatenate([name for _, name in parts]),
            grouped_level(clusters),
        )
        return table, YEAR_TO_YEAR
    scores = [
        score for response in known if (score := _split_halves(response, slopes[id(response)])) is not None
    ]
    if not scores:
        raise InputError(
            f"fleet response of {fleet.region} {fleet.year} has too few load bins to calibrate a range"
        )
    pooled = np.concatenate(scores)
    widened = pooled * WIDEN_BY_STATUS[Status.IMPUTED]
    return calibrate(widened, np.full(len(pooled), ALL), COVERAGE), SPLIT_HALVES


def grouped_level(n_clusters: int) -> float:
    """Give the level of the pooled quantile at which a new cluster is covered to `COVERAGE`."""
    return min(COVERAGE * (1 + 1 / n_clusters), 0.995)


def terciles_mw(fleet: FleetResponse) -> list[float]:
    """Give the loads that a third and two thirds of the year lie below. [MW]"""
    return [float(mw) for mw in np.quantile(fleet.loads_seen_mw()[0], [1 / 3, 2 / 3])]


def regimes(load_mw: FloatArray, is_ozone: BoolArray, terciles: list[float]) -> NDArray[np.str_]:
    """Name the regime of each load: season, then third of the year's loads, such as `ozone/high`."""
    names = np.array(
        [f"{season}/{third}" for season in ("other", "ozone") for third in ("low", "mid", "high")],
        dtype=np.str_,
    )
    chosen: NDArray[np.str_] = names[is_ozone * 3 + np.searchsorted(terciles, load_mw)]
    return chosen


def _year_to_year(
    known: FleetResponse, slope: ResponseSlope, then: FleetResponse
) -> tuple[FloatArray, NDArray[np.str_]]:
    load, is_ozone = then.loads_seen_mw()
    residual = epa_rate(then, load, is_ozone, SHARE_FRAC) - (mid := slope.rate(load, is_ozone))
    return _score(residual, mid, slope), regimes(load, is_ozone, terciles_mw(known))


def _split_halves(fleet: FleetResponse, slope: ResponseSlope) -> FloatArray | None:
    load, is_ozone = fleet.loads_seen_mw()
    half = np.arange(len(fleet.load_mw)) // _BLOCK % 2
    scores = []
    for side in (0, 1):
        try:
            seen, unseen = _subset(fleet, half == side), _subset(fleet, half != side)
            mid = response_slope(seen).rate(load, is_ozone)
        except TableError:
            return None
        scores.append(_score(epa_rate(unseen, load, is_ozone, SHARE_FRAC) - mid, mid, slope))
    return np.concatenate(scores)


def _score(residual: FloatArray, mid: FloatArray, slope: ResponseSlope) -> FloatArray:
    scale = np.sqrt(np.maximum(mid, 1e-9) * slope.roughness_gco2_per_kwh)
    return np.divide(residual, scale, out=np.zeros_like(residual), where=scale > 0)


def _subset(fleet: FleetResponse, keep: BoolArray) -> FleetResponse:
    return FleetResponse(
        region=fleet.region,
        year=fleet.year,
        load_mw=fleet.load_mw[keep],
        co2_g_per_h_ozone=fleet.co2_g_per_h_ozone[keep],
        co2_g_per_h_other=fleet.co2_g_per_h_other[keep],
        fuel_generation_mw={},
        payload_sha256s=(),
        load_quantiles_mw=fleet.load_quantiles_mw,
    )
