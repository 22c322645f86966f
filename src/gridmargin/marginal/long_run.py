"""long_run: what sustained load makes somebody build, by the newest plants or by published tables.

Short-run says which running plant answers; long-run says which plant is there because of load that stays. The two are
two kinds and never mix (C3): everything here has `Basis(horizon=LONG_RUN)`, and the name of each factor says over
which years it holds. docs/methods/long_run.md weighs the three ways.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import BuiltFleet, LongRunRate
from gridmargin.marginal.estimate import Estimates, MarginalSource
from gridmargin.marginal.estimator import Fit, FuelRate
from gridmargin.vocab import (
    Basis,
    Fuel,
    Horizon,
    InputError,
    Kind,
    NoFactorError,
    Range,
    Status,
    UnknownNameError,
    View,
)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

NAME = "long_run"
VERSION = "1"

LONG_RUN = (NAME, "build_margin", "operating_margin", "combined_margin")
"""Names that give long-run factors: none of them is an estimator of the short run."""

NEWEST_FRAC = 0.20
"""Of the system's generation, built most recently: UNFCCC CDM TOOL07, version 07.0, step 5."""

NEWEST_FRACS = (0.10, 0.15, NEWEST_FRAC, 0.25, 0.30)
"""Cuts whose build margins span the range: the tool's 20 % is a convention, and its neighbours are as good."""

LEAST_UNITS = 5
"""The sample is the five newest units where those generate more than the newest 20 %: same step."""

LOW_COST = frozenset(
    {Fuel.HYDRO, Fuel.GEOTHERMAL, Fuel.WIND, Fuel.SOLAR, Fuel.BIOMASS, Fuel.BIOGAS, Fuel.NUCLEAR}
)
"""Low-cost and must-run fuels that the simple operating margin leaves out: same tool, definitions."""

COMBINED_WEIGHTS: dict[str, tuple[float, float]] = {
    "first_period": (0.5, 0.5),
    "later_period": (0.25, 0.75),
    "wind_solar": (0.75, 0.25),
}
"""Weights of operating and build margin by use: all but wind and sun in a first crediting period and after it, and
wind and sun: same tool, step 6. A load that stays is like the first."""

UNRATED_LOW_HIGH_GCO2_PER_KWH = (0.0, 1000.0)
"""What a unit of unstated rate may emit, as in `average`: it widens the range and leaves the middle alone."""

DEFAULT_SPREAD90_FRAC = 0.15  # as in `average`: between AVERT's regions


@dataclass(frozen=True, slots=True)
class LongRunFactor:
    """One long-run factor, good for every hour of its horizon.

    Attributes
    ----------
    method : str
        `build_margin`, `operating_margin`, `combined_margin` or `table`.
    horizon : str
        Over which years it holds, in words.
    factor_gco2_per_kwh : Range
        [g kWh⁻¹]
    sources : tuple of MarginalSource
        `Σ probability × factor` is the middle.
    basis : Basis
        Always long-run.
    status : Status
        How what it rests on came to be.
    known_from_utc, known_until_utc : datetime
        Stretch of what it rests on; nothing later was seen (C10).
    evidence : dict
        Plain JSON: the sample, the weights, the documents.
    payload_sha256s : tuple of str
        Files it was read from.
    """

    method: str
    horizon: str
    factor_gco2_per_kwh: Range
    sources: tuple[MarginalSource, ...]
    basis: Basis
    status: Status
    known_from_utc: datetime
    known_until_utc: datetime
    evidence: dict[str, Any]
    payload_sha256s: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.basis.horizon is not Horizon.LONG_RUN:
            raise InputError(f"a {self.method} is long-run and cannot have the kind {self.basis} (C3)")

    def fit(self, zone: str) -> Fit:
        """Give the fit that names it in the ledger."""
        return Fit(
            estimator=NAME,
            estimator_version=VERSION,
            zone=zone,
            train_start_utc=self.known_from_utc,
            train_end_utc=self.known_until_utc,
            n_train=0,
            parameters={"method": self.method, "horizon": self.horizon, **self.evidence},
            payload_sha256s=self.payload_sha256s,
        )

    def estimates(self, zone: str, interval_s: int, start_epoch_s: IntArray) -> Estimates:
        """Give the factor for intervals, each with the method and the horizon as its regime."""
        n = len(start_epoch_s)
        factor = self.factor_gco2_per_kwh
        return Estimates(
            zone=zone,
            interval_s=interval_s,
            start_epoch_s=start_epoch_s,
            low=np.full(n, factor.low),
            mid=np.full(n, factor.mid),
            high=np.full(n, factor.high),
            source_names=tuple(source.name for source in self.sources),
            source_probability=np.tile([source.probability for source in self.sources], (n, 1)),
            source_factor=np.tile([source.factor_gco2_per_kwh for source in self.sources], (n, 1)),
            regime=np.full(n, f"{self.method}: {self.horizon}"),
            status=np.full(n, self.status.value),
            basis=self.basis,
            estimator=NAME,
            estimator_version=VERSION,
            fit_id=self.fit(zone).fit_id,
        )


def build_margin(fleet: BuiltFleet, year: int, fuel_rates: Mapping[Fuel, FuelRate]) -> LongRunFactor:
    """Give what the newest plants emit a kilowatt-hour.

    Parameters
    ----------
    fleet : BuiltFleet
        Generation of every unit, or else capacity, is its weight; all by the same.
    year : int
        Plants commissioned after it are not seen.
    fuel_rates : mapping of Fuel to FuelRate
        For units without a factor of their own.

    Notes
    -----
    ``EF = Σ_m G_m EF_m ÷ Σ_m G_m`` over the units m that are newest and make 20 % of the generation, or over the five
    newest where those make more. Only the year is known, so the last year to be taken in is taken in whole. The range
    spans the cuts `NEWEST_FRACS`, the rates' errors in quadrature, and units of no rate at nothing and at coal's.

    Raises
    ------
    NoFactorError
        If no unit has a year and a weight, or none of the newest a rate.
    """
    weight, weighed_by = _weights(fleet)
    years = fleet.commissioned_year
    known = np.isfinite(years) & (years <= year) & (weight > 0)
    if not known.any():
        raise NoFactorError(
            f"built fleet {fleet.name}: no unit with a year up to {year} and a {weighed_by}; give commissioned_year"
        )
    samples = {frac: _newest(years, weight, known, frac) for frac in NEWEST_FRACS}
    chosen = samples[NEWEST_FRAC]
    middle = _mean_rate(fleet, chosen, weight, fuel_rates)
    if middle is None:
        raise NoFactorError(
            f"built fleet {fleet.name}: no emission rate for any of the newest {NEWEST_FRAC:.0%}; give one for"
            f" {', '.join(sorted({fleet.fuels[u].value for u in np.flatnonzero(chosen)}))}"
        )
    spans = [span for sample in samples.values() if (span := _mean_rate(fleet, sample, weight, fuel_rates))]
    factor = Range(min(span[0].low for span in spans), middle[0].mid, max(span[0].high for span in spans))
    newest = years[chosen]
    evidence = {
        "year": year,
        "newest_frac": NEWEST_FRAC,
        "weighed_by": weighed_by,
        "n_units": int(chosen.sum()),
        "commissioned_year_from_to": [int(newest.min()), int(newest.max())],
        "share_of_weight": float(weight[chosen].sum() / weight[known].sum()),
        "unrated_share": middle[2],
        "n_without_year": int((~np.isfinite(years)).sum()),
        "by_cut_gco2_per_kwh": {
            f"{frac:.2f}": span[0].mid
            for frac, sample in samples.items()
            if (span := _mean_rate(fleet, sample, weight, fuel_rates))
        },
    }
    return _of_fleet(
        "build_margin",
        f"plants built {int(newest.min())}–{int(newest.max())}",
        fleet,
        year,
        factor,
        middle[1],
        evidence,
    )


def operating_margin(fleet: BuiltFleet, year: int, fuel_rates: Mapping[Fuel, FuelRate]) -> LongRunFactor:
    """Give the simple operating margin: all plants but low-cost and must-run ones, by generation.

    Raises
    ------
    NoFactorError
        If no such plant has a rate.
    """
    weight, weighed_by = _weights(fleet)
    runs = np.array([fuel not in LOW_COST for fuel in fleet.fuels], dtype=np.bool_)
    built = ~(fleet.commissioned_year > year)  # a unit of unknown year stands
    chosen = runs & built & (weight > 0)
    found = _mean_rate(fleet, chosen, weight, fuel_rates)
    if found is None:
        raise NoFactorError(
            f"built fleet {fleet.name}: no plant of {year} with a fuel cost and an emission rate"
        )
    evidence = {
        "year": year, "weighed_by": weighed_by, "n_units": int(chosen.sum()), "unrated_share": found[2],
    }  # fmt: skip
    return _of_fleet("operating_margin", f"the fleet of {year}", fleet, year, found[0], found[1], evidence)


def combined_margin(
    fleet: BuiltFleet, year: int, fuel_rates: Mapping[Fuel, FuelRate], weights: str = "first_period"
) -> LongRunFactor:
    """Give operating and build margin of one fleet, weighed by a named pair of weights.

    The operating margin in it is the tool's own, of the same fleet and kind; a short-run estimate is never part of it.

    Raises
    ------
    UnknownNameError
        If the weights are not one of `COMBINED_WEIGHTS`.
    NoFactorError
        As `build_margin` and `operating_margin`.
    """
    if weights not in COMBINED_WEIGHTS:
        raise UnknownNameError("pair of combined-margin weights", weights, COMBINED_WEIGHTS)
    share, other = COMBINED_WEIGHTS[weights]
    operating, build = operating_margin(fleet, year, fuel_rates), build_margin(fleet, year, fuel_rates)
    low, mid, high = (
        share * getattr(operating.factor_gco2_per_kwh, end) + other * getattr(build.factor_gco2_per_kwh, end)
        for end in ("low", "mid", "high")
    )
    sources = tuple(
        replace(source, name=f"{part}:{source.name}", probability=weight * source.probability)
        for part, weight, found in (("operating", share, operating), ("build", other, build))
        for source in found.sources
    )
    evidence = {
        "weights": weights,
        "operating_weight": share,
        "build_weight": other,
        "operating_margin": {"mid_gco2_per_kwh": operating.factor_gco2_per_kwh.mid, **operating.evidence},
        "build_margin": {"mid_gco2_per_kwh": build.factor_gco2_per_kwh.mid, **build.evidence},
    }
    horizon = f"{operating.horizon} {share:g}, {build.horizon} {other:g} ({weights})"
    return _of_fleet("combined_margin", horizon, fleet, year, Range(low, mid, high), sources, evidence)


def table_factor(
    rates: Sequence[LongRunRate],
    region: str,
    start_year: int,
    evaluation_years: int,
    scenario: str | None = None,
    spread90_frac: float | None = None,
) -> LongRunFactor:
    """Give the published rate of a region for a horizon.

    Parameters
    ----------
    scenario : str, optional
        Needed where the table has several.
    spread90_frac : float, optional
        Half-width of the range, relative, where the table has neither low and high nor other scenarios. [1]

    Notes
    -----
    The range is the publisher's; else it spans the scenarios of the same region, horizon, gases and boundary; else it
    is the spread given. A rate without any of them is refused: a bare number has no range to show.

    Raises
    ------
    UnknownNameError
        If the table has no such region.
    NoFactorError
        If it has no such horizon or scenario, or nothing gives the range.
    """
    mine = [rate for rate in rates if rate.region == region]
    if not mine:
        raise UnknownNameError("region with a long-run rate", region, {rate.region for rate in rates})
    wanted = [r for r in mine if (r.start_year, r.evaluation_years) == (start_year, evaluation_years)]
    if not wanted:
        have = sorted({f"{r.start_year}+{r.evaluation_years}" for r in mine})
        raise NoFactorError(
            f"long-run rate of {region}: none from {start_year} over {evaluation_years} years; the table has"
            f" {', '.join(have)} (start year + years)"
        )
    named = [r for r in wanted if scenario in (None, r.scenario)]
    if len(named) != 1:
        have = sorted({f"{r.scenario or 'unnamed'} ({r.gases}, {r.boundary})" for r in wanted})
        raise NoFactorError(
            f"long-run rate of {region} from {start_year}: {len(named)} rows for scenario {scenario!r}; the table has"
            f" {', '.join(have)}: name one, and keep one kind a table"
        )
    rate = named[0]
    alike = [r for r in wanted if (r.gases, r.boundary) == (rate.gases, rate.boundary)]
    mid = rate.rate_kg_per_mwh  # kg MWh⁻¹ is g kWh⁻¹
    if rate.low_kg_per_mwh is not None and rate.high_kg_per_mwh is not None:
        low, high, why = rate.low_kg_per_mwh, rate.high_kg_per_mwh, "as published"
    elif len(alike) > 1:
        spans = [r.rate_kg_per_mwh for r in alike]
        low, high, why = min(spans), max(spans), f"{len(alike)} scenarios"
    elif spread90_frac is not None:
        low, high, why = mid - abs(mid) * spread90_frac, mid + abs(mid) * spread90_frac, "spread given"
    else:
        raise NoFactorError(
            f"long-run rate of {region} from {start_year} has no range: add low_kg_per_mwh and high_kg_per_mwh, another"
            " scenario, or give spread90_frac"
        )
    evidence = {
        "region": region, "start_year": start_year, "evaluation_years": evaluation_years, "scenario": rate.scenario,
        "discount_rate_frac": rate.discount_rate_frac, "source": rate.source, "row": rate.row, "range": why,
    }  # fmt: skip
    discount = "" if rate.discount_rate_frac is None else f" at {rate.discount_rate_frac:.0%} a year"
    return LongRunFactor(
        "table",
        f"{start_year}–{start_year + evaluation_years - 1}, levelised{discount}",
        Range(low, mid, high),
        (MarginalSource(f"table:{region}", 1.0, mid),),
        Basis(
            Kind.MARGINAL,
            horizon=Horizon.LONG_RUN,
            gases=rate.gases,
            boundary=rate.boundary,
            view=View.FORECAST,
        ),
        Status.FORECAST,
        rate.as_of_utc,
        rate.as_of_utc,
        evidence,
        (rate.payload_sha256,),
    )


def _of_fleet(
    method: str,
    horizon: str,
    fleet: BuiltFleet,
    year: int,
    factor: Range,
    sources: tuple[MarginalSource, ...],
    evidence: dict[str, Any],
) -> LongRunFactor:
    by_generation = bool(np.isfinite(fleet.annual_generation_mwh).all())
    return LongRunFactor(
        method,
        horizon,
        factor,
        sources,
        Basis(Kind.MARGINAL, horizon=Horizon.LONG_RUN),
        Status.REPORTED if by_generation else Status.MODELLED,
        datetime(year, 1, 1, tzinfo=UTC),
        datetime(year + 1, 1, 1, tzinfo=UTC),
        {"fleet": fleet.name, **evidence},
        fleet.payload_sha256s,
    )


def _weights(fleet: BuiltFleet) -> tuple[FloatArray, str]:
    """Give generation where it is known of every unit, else capacity: two measures are not put into one sum."""
    if len(fleet) and np.isfinite(fleet.annual_generation_mwh).all():
        return fleet.annual_generation_mwh, "generation"
    return np.nan_to_num(fleet.capacity_mw, nan=0.0), "capacity"


def _newest(years: FloatArray, weight: FloatArray, known: BoolArray, frac: float) -> BoolArray:
    """Say which units are newest and make up `frac` of the weight, or are the five newest if those weigh more."""
    distinct = np.unique(years[known])[::-1]
    per_year = np.array([weight[known & (years == y)].sum() for y in distinct])
    units = np.array([(known & (years == y)).sum() for y in distinct])
    by_weight = int(np.searchsorted(np.cumsum(per_year), frac * per_year.sum() * (1 - 1e-12)))
    by_count = int(np.searchsorted(np.cumsum(units), min(LEAST_UNITS, units.sum())))
    oldest = distinct[min(max(by_weight, by_count), len(distinct) - 1)]
    return np.asarray(known & (years >= oldest), dtype=np.bool_)


def _mean_rate(
    fleet: BuiltFleet, chosen: BoolArray, weight: FloatArray, fuel_rates: Mapping[Fuel, FuelRate]
) -> tuple[Range, tuple[MarginalSource, ...], float] | None:
    """Give the weighted rate of some units with its range, its fuels, and the share that has no rate."""
    rate = np.full(len(fleet), np.nan)
    spread = np.full(len(fleet), DEFAULT_SPREAD90_FRAC)
    for unit, fuel in enumerate(fleet.fuels):
        known = fuel_rates.get(fuel)
        if known is not None:
            rate[unit] = known.factor_gco2_per_kwh
            spread[unit] = DEFAULT_SPREAD90_FRAC if known.spread90_frac is None else known.spread90_frac
    own = np.isfinite(fleet.factor_gco2_per_kwh)
    rate[own] = fleet.factor_gco2_per_kwh[own]
    rated = chosen & np.isfinite(rate)
    total, all_weight = float(weight[rated].sum()), float(weight[chosen].sum())
    if not total > 0:
        return None
    sources, variance = [], 0.0
    for fuel in dict.fromkeys(fleet.fuels):
        mine = rated & np.array([each is fuel for each in fleet.fuels], dtype=np.bool_)
        if not weight[mine].sum() > 0:
            continue
        probability = float(weight[mine].sum() / total)
        mean = float((weight[mine] * rate[mine]).sum() / weight[mine].sum())
        sources.append(MarginalSource(fuel.value, probability, mean))
        # One fuel's plants share their error, one fuel's error is no other's.
        variance += (probability * mean * float(spread[mine].max())) ** 2
    mid = sum(source.probability * source.factor_gco2_per_kwh for source in sources)
    unrated = 1.0 - total / all_weight
    least, most = UNRATED_LOW_HIGH_GCO2_PER_KWH
    low = max(mid - variance**0.5 - unrated * max(mid - least, 0.0), 0.0)
    high = mid + variance**0.5 + unrated * max(most - mid, 0.0)
    return Range(low, mid, high), tuple(sources), unrated
