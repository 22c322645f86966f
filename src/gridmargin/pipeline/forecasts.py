"""Forecasts: written down as they were issued, and later held beside what was observed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gridmargin.ledger import Book, Entry
from gridmargin.marginal import Estimates, Fit
from gridmargin.pipeline.references import Reference
from gridmargin.vocab import InputError, TimeError, View, format_utc


@dataclass(frozen=True, slots=True)
class ScoredForecast:
    """One forecast as issued, beside what was later observed.

    Attributes
    ----------
    entry : Entry
        The forecast.
    horizon_s : float
        From its issue to the start of its interval. [s]
    observed_gco2_per_kwh : float or None
        The reference for its interval; None where nothing is known of it yet. [g kWh⁻¹]
    error_gco2_per_kwh : float or None
        Forecast − observed. [g kWh⁻¹]
    inside : bool or None
        Whether the forecast's range held what was observed.
    """

    entry: Entry
    horizon_s: float
    observed_gco2_per_kwh: float | None
    error_gco2_per_kwh: float | None
    inside: bool | None


def append_forecasts(
    book: Book,
    estimates: Estimates,
    fit: Fit,
    recorded_utc: datetime,
    payload_sha256s: Sequence[str] | None = None,
    conditions: Sequence[str] | None = None,
    source: str = "",
) -> int:
    """Write an issue of forecasts down, so that its skill can be scored later.

    Parameters
    ----------
    estimates : Estimates
        With view `forecast` and the issue time.

    Returns
    -------
    int
        How many entries are new; the same issue said again in the same words is not said again.

    Raises
    ------
    InputError
        If the estimates are no forecasts, or their fit saw more than was known when they were issued (C10).
    TimeError
        If an interval had begun when its forecast was issued, or it is written down before it was issued.
    """
    issued = estimates.issued_utc
    where = f"forecasts of {estimates.zone} by {estimates.estimator}"
    if estimates.basis.view is not View.FORECAST or issued is None:
        raise InputError(
            f"{where}: their view is {estimates.basis.view}; append what was observed with Book.append"
        )
    if recorded_utc < issued:
        raise TimeError(
            f"{where}: issued at {format_utc(issued)}, after the {format_utc(recorded_utc)} of writing; correct issued_utc"
        )
    if len(estimates) and int(estimates.start_epoch_s[0]) < issued.timestamp():
        raise TimeError(
            f"{where}: the first interval had begun when they were issued at {format_utc(issued)}; leave it out"
        )
    if fit.train_end_utc > issued:
        raise InputError(
            f"{where}: fit {fit.fit_id} saw data to {format_utc(fit.train_end_utc)}, after the issue at"
            f" {format_utc(issued)} (C10); fit on what was known then"
        )
    return book.append(estimates, fit, recorded_utc, payload_sha256s, conditions, source)


def score_forecasts(entries: Sequence[Entry], reference: Reference) -> list[ScoredForecast]:
    """Put each forecast beside what a reference says of its interval.

    Parameters
    ----------
    entries : sequence of Entry
        From `Book.forecasts`.
    """
    found = reference.by_start()
    return [_scored(entry, found.get(_slot(entry))) for entry in entries]


def _slot(entry: Entry) -> tuple[int, int]:
    interval = entry.estimate.interval
    return int(interval.start_utc.timestamp()), int(interval.duration_s)


def _scored(entry: Entry, observed: float | None) -> ScoredForecast:
    factor, issued = entry.estimate.factor_gco2_per_kwh, entry.issued_utc
    if issued is None:
        raise InputError(f"entry {entry.entry_id} has no issue time and is no forecast")
    return ScoredForecast(
        entry=entry,
        horizon_s=(entry.estimate.interval.start_utc - issued).total_seconds(),
        observed_gco2_per_kwh=observed,
        error_gco2_per_kwh=None if observed is None else factor.mid - observed,
        inside=None if observed is None else factor.low <= observed <= factor.high,
    )
