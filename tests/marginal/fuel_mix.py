"""Made-up fuel mixes for the tests of this folder."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np
import polars as pl

from gridmargin.grid import GridStates
from gridmargin.marginal import Facts, FuelRate
from gridmargin.vocab import Fuel, generation_column

RATES = {Fuel.COAL: 1000.0, Fuel.GAS: 400.0, Fuel.OIL: 700.0, Fuel.WIND: 0.0, Fuel.NUCLEAR: 0.0}
FACTS = Facts("America/Chicago", {fuel: FuelRate(rate, "made up", 0.05) for fuel, rate in RATES.items()})


def states_of(
    generation_mw: Mapping[Fuel, np.ndarray],
    interval_s: int = 3600,
    status: str = "reported",
    start: datetime = datetime(2021, 1, 1, tzinfo=UTC),
) -> GridStates:
    n = len(next(iter(generation_mw.values())))
    starts = int(start.timestamp()) + np.arange(n) * interval_s
    frame = pl.DataFrame(
        {
            "start_utc": pl.Series(starts * 1_000_000).cast(pl.Datetime("us", "UTC")),
            "status": [status] * n,
            "completeness_frac": [1.0] * n,
            **{
                generation_column(fuel): np.asarray(mw, dtype=np.float64)
                for fuel, mw in generation_mw.items()
            },
        }
    ).with_columns(pl.selectors.starts_with("generation_").fill_nan(None))
    return GridStates("US-ERCO", interval_s, frame)


def wandering_load(n: int, seed: int = 1, mean_mw: float = 20_000.0) -> np.ndarray:
    """A daily cycle on a slow walk: days differ, as they do."""
    generator = np.random.default_rng(seed)
    walk = np.cumsum(generator.normal(0, 60, n))
    return mean_mw + 4000 * np.sin(2 * np.pi * np.arange(n) / 24) + walk - walk.mean()
