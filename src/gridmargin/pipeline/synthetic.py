"""A synthetic request stream, marked as such on every receipt.

Arrivals are Poisson with a daily swing; token counts are log-normal, with the geometric mean and log-spread of one hour of a public
conversation service (Azure LLM inference trace 2023, conversation, 19,366 requests: `tools/token_lengths.py` prints them).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PROMPT_MEAN_TOKENS, PROMPT_LOG_SPREAD = 760.0, 0.99
GENERATED_MEAN_TOKENS, GENERATED_LOG_SPREAD = 151.0, 0.86
MOST_TOKENS = 4096

ENDPOINTS = ("/v1/chat/completions", "/v1/completions")
TENANTS = ("search", "support", "research")
"""Names made up for the demonstration."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Requests in order of arrival, as arrays of equal length.

    Attributes
    ----------
    arrival_us : array of int64
        [µs since 1970 UTC]
    prompt_tokens, generated_tokens : arrays of int32
    tenant, endpoint : arrays of str
    """

    arrival_us: NDArray[np.int64]
    prompt_tokens: NDArray[np.int32]
    generated_tokens: NDArray[np.int32]
    tenant: NDArray[np.str_]
    endpoint: NDArray[np.str_]


def arrivals_between(start_us: int, end_us: int, rate_per_s: float, seed: int) -> Arrivals:
    """Draw the arrivals of a stretch; the same stretch and seed give the same requests.

    Parameters
    ----------
    start_us, end_us : int
        Half-open stretch. [µs since 1970 UTC]
    rate_per_s : float
        Mean arrivals a second over a day; the busiest hour has 1.5 times as many.
    """
    draw = np.random.default_rng([seed, start_us // 1000])
    day_frac = (start_us / 1e6 % 86_400) / 86_400
    mean = rate_per_s * (1 + 0.5 * np.sin(2 * np.pi * (day_frac - 0.35))) * (end_us - start_us) / 1e6
    n = int(draw.poisson(mean))

    def lengths(median: float, spread: float) -> NDArray[np.int32]:
        return np.clip(draw.lognormal(np.log(median), spread, n), 1, MOST_TOKENS).astype(np.int32)

    return Arrivals(
        arrival_us=np.sort(draw.integers(start_us, end_us, n)),
        prompt_tokens=lengths(PROMPT_MEAN_TOKENS, PROMPT_LOG_SPREAD),
        generated_tokens=lengths(GENERATED_MEAN_TOKENS, GENERATED_LOG_SPREAD),
        tenant=draw.choice(np.array(TENANTS), n),
        endpoint=draw.choice(np.array(ENDPOINTS), n, p=[0.8, 0.2]),
    )
