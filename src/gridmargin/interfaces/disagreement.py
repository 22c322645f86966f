"""The answer of `ledger disagree` and `GET /v1/zones/{zone}/disagreement`: who says what, and how far apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.interfaces.answers import interval_answer
from gridmargin.ledger import Band, Ranking, Table, bands, pairs, rankings, side_by_side
from gridmargin.pipeline import given_signals, signals_of
from gridmargin.reference import zone_named
from gridmargin.vocab import InputError, Interval, NotFoundError, format_utc
from gridmargin.wiring import QUICK, Workplace


def disagreement_answer(
    place: Workplace,
    zone: str,
    interval: Interval,
    other: str | None = None,
    given: Sequence[str] = (),
    given_other: Sequence[str] = (),
) -> dict[str, Any]:
    """Hold what is said of a zone side by side, and where another is named, who calls which of the two the higher.

    Parameters
    ----------
    given, given_other : sequence of str
        The user's own tables for either zone, as `given_signals` reads them.

    Raises
    ------
    NotFoundError
        If nobody says anything of a zone in the stretch.
    """
    if other == zone:
        raise InputError(f"`with={other}`: that is the same zone; name another")
    if given_other and other is None:
        raise InputError("`signals_with` is of the other zone; name it by `with`")
    comparisons = place.open_comparisons(QUICK)
    found = []
    for named, texts in ((zone, given), *(((other, given_other),) if other else ())):
        zone_named(named)
        signals = [*signals_of(place.book, comparisons, named, interval), *given_signals(texts, named)]
        if not signals:
            raise NotFoundError(
                f"nobody says anything of {named} in {interval}; `gridmargin ledger refresh {named}` fills the ledger,"
                f" `gridmargin fetch {named}` asks comparison signals, `signals` names a table"
            )
        found.append(signals)
    step_s = math.lcm(*(signal.step_s for signals in found for signal in signals))
    tables = [side_by_side(signals, interval, step_s) for signals in found]
    return _table(tables[0]) | {
        "zone": zone,
        "interval": interval_answer(interval),
        "with": None if other is None else {"zone": other} | _table(tables[1]),
        "rankings": [_ranking(one, step_s) for one in rankings(*tables)] if other else [],
    }


def _table(table: Table) -> dict[str, Any]:
    values = table.rate_gco2_per_kwh
    return {
        "step_s": table.step_s,
        "unit": "gCO2/kWh",
        "start_epoch_s": table.start_epoch_s.tolist(),
        "signals": [
            {
                "name": signal.name,
                "provider": signal.provider,
                "kind": signal.kind.value,
                "counts": signal.counts,
                "own_step_s": signal.step_s,
                "n": int(np.isfinite(values[:, k]).sum()),
                "mean": _mean(values[:, k]),
                "rate": _numbers(values[:, k]),
            }
            for k, signal in enumerate(table.signals)
        ],
        "bands": [_band(one, table) for one in bands(table)],
        "pairs": [
            {
                "first": one.first,
                "second": one.second,
                "same_measure": one.same_measure,
                "n": one.n,
                "mean_difference": one.mean_difference,
                "mean_absolute_difference": one.mean_absolute_difference,
                "correlation": one.correlation,
            }
            for one in pairs(table)
        ],
    }


def _band(band: Band, table: Table) -> dict[str, Any]:
    width = band.high - band.low
    known = np.isfinite(width)
    widest = int(np.argmax(np.where(known, width, -1.0)))
    return {
        "kind": band.kind.value,
        "counts": band.counts,
        "names": list(band.names),
        "n": int(known.sum()),
        "mean_width": _mean(width),
        "widest": float(width[widest]) if known.any() else None,
        "widest_utc": _time(int(table.start_epoch_s[widest])) if known.any() else None,
        "low": _numbers(band.low),
        "high": _numbers(band.high),
    }


def _ranking(ranking: Ranking, step_s: int) -> dict[str, Any]:
    flips = ranking.flip_epoch_s
    return {
        "kind": ranking.kind.value,
        "counts": ranking.counts,
        "names": list(ranking.names),
        "first_is_higher_frac": ranking.first_is_higher_frac,
        "n_compared": ranking.n_compared,
        "n_flips": len(flips),
        "flipped_h": len(flips) * step_s / 3600,
        "flips_frac": len(flips) / ranking.n_compared if ranking.n_compared else None,
        "flips_utc": [_time(moment) for moment in flips.tolist()],
    }


def _mean(values: NDArray[np.float64]) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values.tolist()]


def _time(epoch_s: int) -> str:
    return format_utc(datetime.fromtimestamp(epoch_s, UTC))
