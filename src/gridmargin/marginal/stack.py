"""A stack of units under outages and an uncertain load: the probability of each to be the one on the margin.

Plain functions; arrays in, arrays out.

Notes
-----
Sort the blocks by what they bid. Let `A_b` say whether block b is available (Bernoulli, 1 − q_b), `c_b` its capacity,
and the load `L + ε` with ε normal. The blocks up to b can give `D_b = Σ_{j≤b} A_j c_j − ε`, and b is the one that
answers the next megawatt where those before it cannot serve the load and those up to it can:

    P(b | L) = P(D_{b−1} ≤ L) − P(D_b ≤ L)

because `D_b ≥ D_{b−1}`. The sum telescopes: what is left below is `P(D_0 > L)`, a load below zero (surplus), and above
`P(D_n ≤ L)`, a load that no set of units serves (scarcity). The distribution of `D_b` follows from that of `D_{b−1}` by
one convolution with two points, exact on the grid, and it does not depend on L: one pass over the blocks answers for
every load. A capacity between two grid points is laid on both in proportion, which keeps its mean.

References
----------
Baleriaux, Jamoulle and Guertechin 1967 and Booth 1972, doi:10.1109/TPAS.1972.293289: probabilistic production costing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from gridmargin.vocab import InputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

N_STEPS = 2000
"""Grid steps from nothing to all capacity: half a thousandth of it, far below a unit of a real fleet."""

N_FACTORS = 128
"""Most bins of the factor's distribution; a stack with fewer different factors has each as its own."""

_TAIL_SDS = 6.0  # beyond six standard deviations lies 1e-9 of a normal distribution


@dataclass(frozen=True, slots=True)
class Blocks:
    """What can be dispatched, as arrays of equal length b.

    Attributes
    ----------
    capacity_mw : array
        [MW]
    bid_per_mwh : array
        What decides the order. [MWh⁻¹]
    factor_gco2_per_kwh : array
        [g kWh⁻¹]
    outage_frac : array
        [1]
    group : array of int
        Which source a block counts to, 0 … k−1.
    """

    capacity_mw: FloatArray
    bid_per_mwh: FloatArray
    factor_gco2_per_kwh: FloatArray
    outage_frac: FloatArray
    group: IntArray


@dataclass(frozen=True, slots=True)
class MarginTable:
    """The margin as a function of the load, on a grid of loads; shape (g, …).

    Attributes
    ----------
    load_mw : array, shape (g,)
        Increasing. [MW]
    probability : array, shape (g, k)
        That the next megawatt comes from a source. [1]
    emission : array, shape (g, k)
        Probability × factor, summed over the blocks of a source. [g kWh⁻¹]
    surplus, scarce : arrays, shape (g,)
        Probability that the load is below zero, and that nothing serves it. [1]
    cost_per_mwh : array, shape (g,)
        Expected bid of the block on the margin. [MWh⁻¹]
    factors : array, shape (m,)
        Values that the factor takes, increasing. [g kWh⁻¹]
    factor_probability : array, shape (g, m)
        Of each; with `surplus` as factor zero, rows sum to 1.
    """

    load_mw: FloatArray
    probability: FloatArray
    emission: FloatArray
    surplus: FloatArray
    scarce: FloatArray
    cost_per_mwh: FloatArray
    factors: FloatArray
    factor_probability: FloatArray


def margin_table(
    blocks: Blocks, n_groups: int, load_sd_mw: float, n_steps: int = N_STEPS, *, compiled: bool = True
) -> MarginTable:
    """Give the probability of every source to be on the margin, for every load.

    Parameters
    ----------
    blocks : Blocks
        In any order; ties in the bid are taken in the order given.
    n_groups : int
        Number of sources k.
    load_sd_mw : float
        Standard deviation of the load's error, 0 for none. [MW]
    n_steps : int
        Grid steps over the whole capacity.
    compiled : bool
        False spares loading the compiler where only a few tables are wanted; the numbers are the same.

    Returns
    -------
    MarginTable
        Scarcity counts to the last block: it is what all others cannot replace. Its cost is the last bid.

    Raises
    ------
    InputError
        If there is no capacity, an outage is not in [0, 1), or a number is not finite.

    Notes
    -----
    Two blocks of one unit are taken as independent, which understates the spread of the capacity by the share of a
    unit's variance that its blocks share; tests/marginal/test_stack.py bounds it by enumeration.
    """
    _refuse(blocks, load_sd_mw)
    order = np.argsort(blocks.bid_per_mwh, kind="stable")
    capacity, bid, factor = (
        a[order] for a in (blocks.capacity_mw, blocks.bid_per_mwh, blocks.factor_gco2_per_kwh)
    )
    outage, group = blocks.outage_frac[order], blocks.group[order]
    step = float(capacity.sum()) / n_steps
    pad = int(np.ceil(_TAIL_SDS * load_sd_mw / step)) + 1
    load: FloatArray = (np.arange(n_steps + 2 * pad + 2, dtype=np.float64) - pad) * step
    pmf = _noise(len(load), pad, load_sd_mw / step)
    factors, bin_of = _factor_bins(factor)
    probability, emission, by_factor, cost, surplus, scarce = _pass(compiled)(
        pmf, capacity / step, outage, bid, factor, group, bin_of, n_groups, len(factors)
    )
    return MarginTable(
        load_mw=load,
        probability=probability.T,
        emission=emission.T,
        surplus=surplus,
        scarce=scarce,
        cost_per_mwh=cost,
        factors=factors,
        factor_probability=by_factor.T,
    )


def _pass(compiled: bool) -> Callable[..., tuple[FloatArray, ...]]:
    if compiled:
        from gridmargin.marginal.stack_kernel import pass_over  # numba: only many stacks need it

        return cast(Callable[..., tuple[FloatArray, ...]], pass_over)
    from gridmargin.marginal import stack_once

    return stack_once.pass_over


def expected_output(blocks: Blocks, load_mw: FloatArray, load_sd_mw: float) -> FloatArray:
    """Give the mean output of every source at each load; shape (n, k). [MW]

    Notes
    -----
    A source's mean output at L is the integral of its probability to be on the margin from 0 to L: each megawatt of
    load was answered by somebody. Scarcity is not served.
    """
    n_groups = int(blocks.group.max()) + 1
    table = margin_table(blocks, n_groups, load_sd_mw)
    served = table.probability.copy()
    last = blocks.group[np.argsort(blocks.bid_per_mwh, kind="stable")[-1]]
    served[:, last] -= table.scarce
    step = table.load_mw[1] - table.load_mw[0]
    summed = np.cumsum(served, axis=0) * step
    return np.stack([np.interp(load_mw, table.load_mw, summed[:, at]) for at in range(n_groups)], axis=1)


def _refuse(blocks: Blocks, load_sd_mw: float) -> None:
    for name in ("capacity_mw", "bid_per_mwh", "factor_gco2_per_kwh", "outage_frac"):
        wrong = ~np.isfinite(getattr(blocks, name))
        if wrong.any():
            raise InputError(f"stack: {name} of block {int(wrong.argmax())} is not a number")
    if not blocks.capacity_mw.sum() > 0 or (blocks.capacity_mw < 0).any():
        raise InputError("stack: no capacity, or one below zero: nothing can be on its margin")
    if not ((blocks.outage_frac >= 0) & (blocks.outage_frac < 1)).all():
        raise InputError("stack: a forced outage rate must be at least 0 and below 1")
    if not 0 <= load_sd_mw < np.inf:
        raise InputError(f"stack: the load's standard deviation {load_sd_mw} MW is not a size")


def _noise(n: int, at: int, sd_steps: float) -> FloatArray:
    pmf = np.zeros(n)
    if sd_steps < 0.5:
        pmf[at] = 1.0
        return pmf
    pmf[: 2 * at + 1] = np.exp(-0.5 * ((np.arange(2 * at + 1) - at) / sd_steps) ** 2)
    return np.asarray(pmf / pmf.sum())


def _factor_bins(factor: FloatArray) -> tuple[FloatArray, IntArray]:
    values, index = np.unique(factor, return_inverse=True)
    if len(values) <= N_FACTORS:
        return values, index.astype(np.int64)
    edges = np.quantile(factor, np.linspace(0, 1, N_FACTORS + 1))
    at = np.clip(np.searchsorted(edges, factor, side="right") - 1, 0, N_FACTORS - 1)
    count = np.bincount(at, minlength=N_FACTORS)
    mean = np.bincount(at, weights=factor, minlength=N_FACTORS) / np.maximum(count, 1)
    kept = np.flatnonzero(count)
    place = np.cumsum(count > 0) - 1
    return mean[kept], place[at].astype(np.int64)
