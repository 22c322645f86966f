"""What a fit may learn from when the grid has changed, and how two fits differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from gridmargin.grid import GridStates
from gridmargin.vocab import Interval

MIN_AFTER = timedelta(days=28)
"""Four whole weeks of the new grid, so that every weekday counts alike, are enough to leave the old one out."""

KEEP_EVERY_DAYS = 4
"""Until then one day in so many of the old grid is kept: it counts a quarter."""


def weigh_history(
    history: GridStates, changed_utc: Sequence[datetime], usable: Callable[[GridStates], bool]
) -> tuple[GridStates, list[str]]:
    """Leave out, or down-weight, what a changed grid no longer is.

    Parameters
    ----------
    history : GridStates
        Everything that the fit might see, ordered.
    changed_utc : sequence of datetime
        When the grid became another one, in order.
    usable : callable
        Whether a fit is possible on some states.

    Returns
    -------
    GridStates
        What the fit is to see.
    list of str
        What became of each change: `cut` (nothing before it is seen), `before the cut`, `down-weighted` (days before
        it count a quarter), `too little data` (nothing could be left out), `not in the fit` (it lies outside).
    """
    effects = ["not in the fit"] * len(changed_utc)
    if not len(history):
        return history, effects
    first = history.frame["start_utc"][0]
    end = history.frame["start_utc"][-1] + timedelta(seconds=history.interval_s)
    inside = [k for k, moment in enumerate(changed_utc) if first < moment < end]
    seen = history
    kept_from: int | None = None
    for k in reversed(inside):
        after = history.between(Interval(changed_utc[k], end))
        if end - changed_utc[k] >= MIN_AFTER and usable(after):
            seen, kept_from = after, k
            effects[k] = "cut"
            break
    for k in inside:
        if kept_from is not None and k < kept_from:
            effects[k] = "before the cut"
    later = [k for k in inside if kept_from is None or k > kept_from]
    if later:
        newest = changed_utc[later[-1]]
        before = (newest - pl.col("start_utc")).dt.total_seconds() - 1
        thinned = seen.frame.filter((before < 0) | ((before // 86_400) % KEEP_EVERY_DAYS == 0))
        fewer = GridStates(seen.zone, seen.interval_s, thinned)
        enough = usable(fewer)
        seen = fewer if enough else seen
        for k in later:
            effects[k] = "down-weighted" if enough else "too little data"
    return seen, effects


def parameter_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Say which parameters of a fit became others: plain JSON, sorted, numbers in lists as means.

    Returns
    -------
    dict
        By dotted name: `{"old", "new"}` for a single value; for lists of numbers of one shape `{"n", "old_mean",
        "new_mean", "greatest_change"}`; `{"old": None, …}` for what is new.
    """
    found: dict[str, Any] = {}
    for name in sorted({*old, *new}):
        before, now = old.get(name), new.get(name)
        if before == now:
            continue
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            inner = parameter_changes(before, now)
            found |= {f"{name}.{key}": value for key, value in inner.items()}
            continue
        found[name] = _numbers(before, now) or {"old": _brief(before), "new": _brief(now)}
    return found


def _numbers(before: Any, now: Any) -> dict[str, Any] | None:
    if not (isinstance(before, list) and isinstance(now, list)):
        return None
    try:
        a, b = np.array(before, dtype=np.float64), np.array(now, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    if a.shape != b.shape or not a.size or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return None
    return {
        "n": int(a.size),
        "old_mean": float(a.mean()),
        "new_mean": float(b.mean()),
        "greatest_change": float(np.abs(b - a).max()),
    }


def _brief(value: Any) -> Any:
    """Give a value as it is, and what is long by its length."""
    if isinstance(value, (list, Mapping)) and len(value) > 12:
        return f"{len(value)} values"
    return value
