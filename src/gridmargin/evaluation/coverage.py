"""Coverage of the 90 % range over all regions of a task together, and regime by regime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.evaluation.scores import UNIT, score
from gridmargin.marginal import Estimates

FloatArray = NDArray[np.float64]
Row = dict[str, Any]

HOUR_S = 3600

ALL_REGIONS = "all"
"""The region of a row that pools every region of the task."""


@dataclass(frozen=True, slots=True)
class Ranged:
    """Hours of one estimator in one region: estimate, range and reference.

    Attributes
    ----------
    regime : array of str, shape (n,)
        Coarsest part that the range is told apart by.
    low, mid, high, reference : arrays, shape (n,)
        [g kWh⁻¹]
    """

    regime: NDArray[np.str_]
    low: FloatArray
    mid: FloatArray
    high: FloatArray
    reference: FloatArray


def coverage_rows(parts: Sequence[Ranged], labels: Row) -> list[Row]:
    """Give one row over everything and one a regime; nothing where there is no hour."""
    if not parts:
        return []
    regime = np.concatenate([part.regime for part in parts])
    low, mid, high, reference = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("low", "mid", "high", "reference")
    )
    rows = []
    for name in ("", *np.unique(regime).tolist()):
        chosen = (regime == name) | (not name)
        row = {"region": ALL_REGIONS, **labels, **({"regime": name} if name else {})}
        row |= score(mid[chosen], reference[chosen], low[chosen], high[chosen])
        rows.append({**row, "unit": UNIT, "baselines": {}})
    return rows


def hourly_regimes(estimates: Estimates) -> NDArray[np.str_]:
    """Give the regime of each hour's first interval: its level for the regression, whole for the fleet curve."""
    _, first = np.unique(estimates.start_epoch_s // HOUR_S, return_index=True)
    names, index = np.unique(estimates.regime[first], return_inverse=True)
    coarse = [name.partition("/")[0] if name.startswith("level") else name for name in names.tolist()]
    return np.array(coarse, dtype=np.str_)[index] if coarse else names
