"""Energy per output at a batch size that was not measured, from those that were."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from gridmargin.vocab import InputError

FloatArray = NDArray[np.float64]

REACH = float(np.log(2.0))
"""What a measured batch size counts for falls by e with each doubling between it and the one asked for."""


def whole_line(batch: FloatArray, energy_j: FloatArray, at: float) -> float:
    """Give c0 + c1 ÷ B at a batch size, by relative least squares over all that were measured. [J]"""
    return _line(batch, energy_j, np.ones(len(batch)), at)


def local_line(batch: FloatArray, energy_j: FloatArray, at: float) -> float:
    """Give c0 + c1 ÷ B at a batch size, the near ones counting most. [J]

    Parameters
    ----------
    batch : array, shape (n,)
        Measured batch sizes, each once. [1]
    energy_j : array, shape (n,)
        Energy per output (token, image, …) at each. [J]
    at : float
        Batch size asked for. [1]

    Raises
    ------
    InputError
        If fewer than two were measured, or a value is not above 0.

    Notes
    -----
    A step costs fixed + B × each, so an output costs c0 + c1 ÷ B, neither negative. Kernels and clocks change with the
    batch, so one line does not hold from 8 to 2,048: weights are ``exp(−|ln(B ÷ at)| ÷ ln 2)``.
    """
    return _line(batch, energy_j, np.exp(-np.abs(np.log(np.maximum(batch, 1e-9) / at)) / REACH), at)


def _line(batch: FloatArray, energy_j: FloatArray, weight: FloatArray, at: float) -> float:
    if len(batch) < 2:
        raise InputError(f"{len(batch)} measured batch sizes make no line; give two or more")
    wrong = np.flatnonzero(~((batch > 0) & (energy_j > 0)))
    if len(wrong):
        raise InputError(
            f"measurement {wrong[0]}: batch size {batch[wrong[0]]:g}, {energy_j[wrong[0]]:g} J; both are above 0"
        )
    relative = (weight / energy_j)[:, None]
    c0, c1 = nnls(np.column_stack([np.ones_like(batch), 1.0 / batch]) * relative, weight)[0]
    return float(c0 + c1 / at)
