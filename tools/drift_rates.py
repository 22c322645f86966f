"""Print how often the drift watch raises a false alarm and how soon it finds a change, on made-up series.

python tools/drift_rates.py [--series 200]
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from gridmargin.marginal import Watch, watch

DAY_S = 86_400
DAYS, CHANGE_DAY = 365, 180
HALF_WIDTH = 1.6448536269514722  # of the 90 % range of a standard normal
RHOS = (0.0, 0.8, 0.95, 0.99)
CHANGES = {
    "mean + 0.5 sd": lambda x: x + 0.5,
    "mean + 1 sd": lambda x: x + 1.0,
    "sd × 2": lambda x: 2.0 * x,
}


def hourly(generator: np.random.Generator, rho: float) -> NDArray[np.float64]:
    """Draw a year of an AR(1) with variance 1."""
    drawn = generator.normal(size=24 * DAYS + 1000) * np.sqrt(1 - rho**2)
    return np.asarray(lfilter([1.0], [1.0, -rho], drawn)[1000:])


def watched(residual: NDArray[np.float64]) -> Watch:
    """Watch residuals around an estimate of 500 whose range is right."""
    mid = np.full(len(residual), 500.0)
    label = np.full(len(residual), "one")
    start = np.arange(len(residual)) * 3600
    return watch(start, mid - HALF_WIDTH, mid, mid + HALF_WIDTH, mid + residual, label)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=200)
    n_series = parser.parse_args().series
    generator = np.random.default_rng(1)
    print(f"no change, {DAYS} days, {n_series} series: share with any alarm, and the most that is promised")
    for rho in RHOS:
        found = [watched(hourly(generator, rho)) for _ in range(n_series)]
        days = np.mean([w.block_s for w in found]) / DAY_S
        promised = np.mean([w.n_blocks for w in found]) / 3650
        alarmed = np.mean([bool(w.events) for w in found])
        print(f"  rho {rho:.2f} an hour, blocks {days:4.1f} d: {alarmed:6.1%} of at most {promised:.1%}")
    print(
        f"a change on day {CHANGE_DAY}: found by day {DAYS}, days to the alarm (median, p90), error of its beginning"
    )
    for rho in RHOS[:3]:
        for name, change in CHANGES.items():
            delays, errors, causes = [], [], Counter[str]()
            for _ in range(n_series // 4):
                drawn = hourly(generator, rho)
                drawn[24 * CHANGE_DAY :] = change(drawn[24 * CHANGE_DAY :])
                after = [e for e in watched(drawn).events if e.time_epoch_s > CHANGE_DAY * DAY_S]
                if after:
                    delays.append(after[0].time_epoch_s / DAY_S - CHANGE_DAY)
                    errors.append(abs(after[0].since_epoch_s / DAY_S - CHANGE_DAY))
                    causes[after[0].cause] += 1
            share = len(delays) / (n_series // 4)
            told = (
                f"{np.median(delays):5.0f}, {np.quantile(delays, 0.9):5.0f}, {np.median(errors):4.0f}"
                if delays
                else "never"
            )
            print(f"  rho {rho:.2f}, {name:14}: {share:6.1%} {told}  {dict(causes.most_common())}")


if __name__ == "__main__":
    main()
