"""regression: which fuels answer a change of generation, and what they emit.

The marginal factor is Σ share × factor. Shares are read from the zone's own fuel mix; a fuel's factor is that of
EPA's fleet curve of the newest year known where there is one, else one rate a fuel. docs/methods/regression.md weighs
the choices and says what each variation identifies.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import GridStates
from gridmargin.marginal.conformal import apply, widening
from gridmargin.marginal.estimate import Estimates
from gridmargin.marginal.estimator import Facts, Fit, FuelRate, Need
from gridmargin.marginal.fleet_factors import factors_of_states, fleet_parameters, technology_parts
from gridmargin.marginal.fleet_load import REPORTED_FRAC
from gridmargin.marginal.level_shares import learn_level, read_shares
from gridmargin.marginal.regimes import (
    BLOCKS,
    LEVEL_QUANTILES,
    SEASONS,
    hat_weights,
    labels,
    level_knots_mw,
    local_day_and_second,
    season_and_block,
)
from gridmargin.marginal.regression_range import calibrate_on_days, calibrate_on_years
from gridmargin.marginal.within import (
    PRIOR_DAYS,
    Changes,
    changes_of,
    held_out,
    standard_errors,
    window_length_days,
    within_shares,
)
from gridmargin.vocab import FOSSIL, Basis, Fuel, InputError, Kind, NoFactorError, View

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

DENOMINATORS = ("thermal", "residual", "total")
"""What the whole is made of: `thermal` the fossil fuels, which follow the load; `residual` all but wind and sun;
`total` everything with a rate. The choice moves the factor by a third: it is part of the fit."""

VARIATIONS = ("level", "within")
"""What moves: `level` compares levels over the whole history (the committed response), `within` days of the same four
weeks (the response of a day)."""

MIN_HOURS = 96
"""Four typical days: fewer cannot tell a level of load from an hour of the day."""

HALF_LIFE_DAYS = 365.0
"""An observation this old counts half: last year's season still has a say, the year before less."""


class Regression:
    """Shares by level, hour or regime, recency-weighted; needs generation by fuel and a rate for each.

    Parameters
    ----------
    denominator : str
        One of `DENOMINATORS`.
    half_life_days : float
        Age at which an observation counts half. [d]
    variation : str
        One of `VARIATIONS`.
    """

    name = "regression"
    version = "3"
    kind = Kind.MARGINAL
    needs: frozenset[Need] = frozenset()

    def __init__(
        self, denominator: str = "thermal", half_life_days: float = HALF_LIFE_DAYS, variation: str = "level"
    ) -> None:
        if denominator not in DENOMINATORS:
            raise InputError(f"denominator {denominator!r} is not one of {', '.join(DENOMINATORS)}")
        if variation not in VARIATIONS:
            raise InputError(f"variation {variation!r} is not one of {', '.join(VARIATIONS)}")
        if not half_life_days > 0:
            raise InputError(f"half-life {half_life_days} days is not positive")
        self.denominator = denominator
        self.half_life_days = half_life_days
        self.variation = variation

    def can_fit(self, history: GridStates, facts: Facts) -> str | None:
        """Say what is missing for a fit, or None when nothing is."""
        where = f"{self.name} of {history.zone}"
        fuels = reported_fuels(history, facts, self.denominator)
        if not fuels:
            return f"{where} needs {self.denominator} generation by fuel in its states, and none is reported"
        unrated = [fuel.value for fuel in fuels if fuel not in facts.fuel_rates]
        if unrated:
            return f"{where} needs an emission rate for {', '.join(unrated)}"
        generation = generation_matrix_mw(history, fuels)
        level = generation.sum(axis=1)
        known = np.isfinite(level)
        hours = known.sum() * history.interval_s / 3600
        if hours < MIN_HOURS:
            return f"{where} needs {MIN_HOURS} h of complete states and has {hours:g}"
        if not np.ptp(level[known]) > 0:
            return f"{where} needs generation that changes, and its {self.denominator} generation is constant"
        if self.variation == "within":
            changes = changes_of(history, generation, facts.timezone, self.half_life_days)
            if not (changes.total_mw**2).sum() > 0:
                return f"{where} needs generation that changes from day to day, and every day is the same"
        return None

    def fit(self, history: GridStates, facts: Facts) -> Fit:
        """Learn the shares, their standard errors and the range.

        Raises
        ------
        NoFactorError
            If `can_fit` names something missing.
        """
        missing = self.can_fit(history, facts)
        if missing:
            raise NoFactorError(missing)
        fuels = reported_fuels(history, facts, self.denominator)
        fuel_rates = [facts.fuel_rates[fuel] for fuel in fuels]
        generation = generation_matrix_mw(history, fuels)
        level = generation.sum(axis=1)
        known = np.isfinite(level)
        _, second = local_day_and_second(history.start_epoch_s(), facts.timezone)
        hour = second // 3600
        changes = changes_of(history, generation, facts.timezone, self.half_life_days)
        on_level = self.variation == "level"
        basis = (level[known], np.ones(int(known.sum()))) if on_level else (changes.level_mw, changes.weight)
        knots = np.array(level_knots_mw(*basis))
        rates = rates_at_knots(fuel_rates, len(knots))
        parameters: dict[str, Any] = {
            "denominator": self.denominator,
            "variation": self.variation,
            "fuels": [fuel.value for fuel in fuels],
            "rate_gco2_per_kwh": rates.tolist(),
            "rate_source": [rate.source for rate in fuel_rates],
            "timezone": facts.timezone,
            "window_days": window_length_days(history),
            "half_life_days": self.half_life_days,
            "level_knots_mw": knots.tolist(),
            "fleet": fleet_parameters(history, facts, fuels),
        }
        from_fleet = parameters["fleet"] is not None
        if on_level:
            learned = learn_level(history, generation, facts.timezone, self.half_life_days, not from_fleet)
            parameters |= learned.parameters()
        else:
            cell = np.stack(season_and_block(history.start_epoch_s(), facts.timezone))
            parameters |= _within_parameters(changes, cell, knots, history.interval_s)
        probability = np.full_like(generation, np.nan)
        probability[known] = _probability(parameters, history.start_epoch_s()[known], level[known])
        factor = np.full_like(generation, np.nan)
        factor[known] = _factor(parameters, history, known, level[known], probability[known])
        if on_level:
            error: Any = learned.errors(factor[known], knots)
        else:
            error = _within_errors(changes, cell, knots, factor, history.interval_s)
        parameters["standard_error_gco2_per_kwh"] = error
        if facts.fleet is not None and from_fleet:
            rated = facts.average_fuel_rates or facts.fuel_rates
            table, against = calibrate_on_years(
                facts.fleet, [Fuel(name) for name in parameters["fleet"]["families"]], rated
            )
        else:
            safe = np.where(known, level, knots[0])
            apart = (
                learned.held_out(len(history), safe, hour)
                if on_level
                else held_out(changes, _flat(cell), hat_weights(changes.level_mw, knots), hat_weights(safe, knots),
                              len(history), history.interval_s)
            )  # fmt: skip
            apart[~known] = np.nan
            nearest = hat_weights(safe, knots).argmax(axis=1)
            table, against = calibrate_on_days(
                history.start_epoch_s(), fuel_rates, apart, factor, nearest, changes.row, changes.change_mw
            )
        parameters |= {"range": table, "calibrated_against": against}
        hashes = facts.fleet.payload_sha256s if facts.fleet is not None else ()
        return Fit.on(history, self, int(known.sum()), parameters, hashes)

    def estimate(self, states: GridStates, fit: Fit) -> Estimates:
        """Price the shares of each state's level and hour; a state that lacks a fuel of the fit is left out."""
        p = fit.parameters
        generation = generation_matrix_mw(states, [Fuel(name) for name in p["fuels"]])
        level = generation.sum(axis=1)
        known = np.isfinite(level)
        start_s, level = states.start_epoch_s()[known], level[known]
        probability = _probability(p, start_s, level)
        factor = _factor(p, states, known, level, probability)
        mid = (probability * factor).sum(axis=1)
        season, block = season_and_block(start_s, p["timezone"])
        nearest = hat_weights(level, np.array(p["level_knots_mw"])).argmax(axis=1).astype(np.int64)
        regime = labels(nearest, season, block)
        status = states.frame["status"].filter(known).to_numpy().astype(np.str_)
        scale = widening(status)
        if p["fleet"] is not None:
            scale = scale * np.sqrt(np.maximum(mid, 1e-9) * p["fleet"]["roughness_gco2_per_kwh"])
        low, high = apply(mid, regime, p["range"], scale)
        hindcast = bool(len(start_s)) and start_s[0] < fit.train_end_utc.timestamp()
        view = View.HINDCAST if hindcast else View.OBSERVED
        return Estimates(
            zone=states.zone,
            interval_s=states.interval_s,
            start_epoch_s=start_s,
            low=low,
            mid=mid,
            high=high,
            source_names=tuple(p["fuels"]),
            source_probability=probability,
            source_factor=factor,
            regime=regime,
            status=status,
            basis=Basis(Kind.MARGINAL, view=view),
            estimator=self.name,
            estimator_version=self.version,
            fit_id=fit.fit_id,
        )


def reported_fuels(history: GridStates, facts: Facts, denominator: str) -> list[Fuel]:
    """Fuels of the denominator that the zone usually reports, in the order of the columns.

    Stores, imports and the like, which have no rate of their own, are not in any denominator.
    """
    chosen = []
    for fuel in history.fuels:
        if denominator == "thermal" and fuel not in FOSSIL:
            continue
        if denominator == "residual" and fuel in (Fuel.WIND, Fuel.SOLAR):
            continue
        if fuel not in FOSSIL and fuel not in facts.fuel_rates:
            continue
        if np.isfinite(history.generation_mw(fuel)).sum() >= max(REPORTED_FRAC * len(history), 1):
            chosen.append(fuel)
    return chosen


def generation_matrix_mw(states: GridStates, fuels: list[Fuel]) -> FloatArray:
    """Give generation by fuel, NaN where not known; shape (n, k). [MW]"""
    return np.column_stack([states.generation_mw(fuel) for fuel in fuels])


def rates_at_knots(rates: list[FuelRate], n_knots: int) -> FloatArray:
    """Give each fuel's rate at each knot of the load level; shape (m, k). [g kWh⁻¹]

    The knots are the middles of the fifths that a rate by load is given for. Where knots have fallen together, or
    a rate is not known by load, the one rate serves.
    """
    columns = []
    for rate in rates:
        by_load = rate.by_load_gco2_per_kwh
        known = by_load is not None and len(by_load) == n_knots == len(LEVEL_QUANTILES)
        columns.append(by_load if known and by_load else (rate.factor_gco2_per_kwh,) * n_knots)
    return np.array(columns, dtype=np.float64).T


def _probability(p: dict[str, Any], start_s: IntArray, level: FloatArray) -> FloatArray:
    shares = np.array(p["shares"])
    if p["variation"] == "level":
        _, second = local_day_and_second(start_s, p["timezone"])
        return read_shares(shares, np.array(p["share_knots_mw"]), level, second // 3600)
    season, block = season_and_block(start_s, p["timezone"])
    hat = hat_weights(level, np.array(p["level_knots_mw"]))
    probability = np.einsum("nm,nmk->nk", hat, shares[season, block])
    scaled: FloatArray = probability / probability.sum(axis=1, keepdims=True)
    return scaled


def _factor(
    p: dict[str, Any],
    states: GridStates,
    known: NDArray[np.bool_],
    level: FloatArray,
    probability: FloatArray,
) -> FloatArray:
    """Give what each fuel of each known state emits: by the fleet's curve where there is one, else its rate."""
    knots = np.array(p["level_knots_mw"])
    rate: FloatArray = hat_weights(level, knots) @ np.array(p["rate_gco2_per_kwh"])
    if p["fleet"] is None:
        return rate
    by_family = factors_of_states(p["fleet"], states, known)
    part = technology_parts(p["fleet"]["family_of"], probability, rate)
    for column, where in enumerate(p["fleet"]["family_of"]):
        if where is not None:
            rate[:, column] = by_family[:, where] * part[:, column]
    return rate


def _flat(cell: IntArray) -> IntArray:
    return np.asarray(cell[0] * len(BLOCKS) + cell[1], dtype=np.int64)


def _within_parameters(
    changes: Changes, cell: IntArray, knots: FloatArray, interval_s: int
) -> dict[str, Any]:
    hat = hat_weights(changes.level_mw, knots)
    shares, _, n_clipped = within_shares(changes, _flat(cell), hat, interval_s)
    return {
        "prior_days": PRIOR_DAYS,
        "n_changes": len(changes.row),
        "shares": shares.reshape(len(SEASONS), len(BLOCKS), len(knots), -1).tolist(),
        "n_clipped": n_clipped,
    }


def _within_errors(
    changes: Changes,
    cell: IntArray,
    knots: FloatArray,
    factor: FloatArray,
    interval_s: int,
) -> list[Any]:
    hat = hat_weights(changes.level_mw, knots)
    shares, sxx, _ = within_shares(changes, _flat(cell), hat, interval_s)
    return standard_errors(changes, _flat(cell), hat, shares, sxx, factor[changes.row])
