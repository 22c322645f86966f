"""Backtest `wall`: power at the wall of a host from the power of its board, model by model left out.

Rows of one model resemble each other, so a model is estimated from what the other models drew, and its range is from
how far those were off when each was left out in turn.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridmargin.evaluation.ask import Ask
from gridmargin.evaluation.scores import Row, report, score
from gridmargin.vocab import InputError, UnknownNameError

FloatArray = NDArray[np.float64]
StrArray = NDArray[np.str_]

FOLDERS = ("", "gpu_to_wall_power", "inference/gpu_to_wall_power")
PREFIX = "mfu_aggregated_per_config_"
GROUP, BOARD, WALL = "model_name", "power_draw_watts_mean", "power_meter_active_power_w_mean"
LEAST_ROWS = 5
"""A model with fewer rows is fitted on and scored with the rest, but has no row of its own and calibrates nothing."""

COVERAGE = 0.9
WITHIN_FRAC = 0.03
"""The goal: how near to the meter counts as reached."""


@dataclass(frozen=True, slots=True)
class Host:
    """Steady configurations of one host, shape (n,) each.

    Attributes
    ----------
    device : str
    model : array of str
    board_w, wall_w : arrays
        [W]
    """

    device: str
    model: StrArray
    board_w: FloatArray
    wall_w: FloatArray


def run(ask: Ask) -> dict[str, Any]:
    """Leave out each model in turn and score what the others say of it.

    Raises
    ------
    InputError
        If the folder holds no such file, or one is not as it should be.
    """
    started = time.perf_counter()
    ask.refuse(
        "wall", "leaves out a model at a time", "avert", "train_year", "test_year", "test_from", "test_to",
        "horizon_min", "train_s",
    )  # fmt: skip
    hosts = {host.device: host for host in map(_read, _paths(ask.data))}
    if ask.region is not None and ask.region not in hosts:
        raise UnknownNameError("device", ask.region, tuple(hosts))
    rows = [row for host in hosts.values() if ask.region in (None, host.device) for row in _rows(host)]
    return report("wall", {"gridmargin": version("gridmargin")}, time.perf_counter() - started, rows)


def _paths(data: Path) -> list[Path]:
    for folder in (data / name for name in FOLDERS):
        paths = sorted(folder.glob(f"{PREFIX}*.csv")) if folder.is_dir() else []
        if paths:
            return paths
    raise InputError(f"no {PREFIX}DEVICE.csv under {data}")


def _read(path: Path) -> Host:
    try:
        table = pl.read_csv(path, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path.name} cannot be read ({str(error).splitlines()[0]})") from error
    missing = [name for name in (GROUP, BOARD, WALL) if name not in table.columns]
    if missing:
        raise InputError(f"{path.name} has no column {missing[0]}; it has {', '.join(table.columns)}")
    powers = []
    for name in (BOARD, WALL):
        values = table[name].cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
        bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
        if len(bad):
            raise InputError(
                f"{path.name}, row {bad[0] + 2}: {name} is {table[name][int(bad[0])]!r} and no power"
            )
        powers.append(np.asarray(values, dtype=np.float64))
    board_w, wall_w = powers
    below = np.flatnonzero(wall_w < board_w)
    if len(below):
        row = int(below[0])
        raise InputError(
            f"{path.name}, row {row + 2}: {wall_w[row]:g} W at the wall and {board_w[row]:g} W of it in the board:"
            " are the columns the right way round?"
        )
    for name, values in zip((BOARD, WALL), powers, strict=True):
        if len(values) < 2 or np.ptp(values) == 0:
            raise InputError(f"{path.name}: {name} never changes: it tells nothing of the host")
    model = table[GROUP].cast(pl.String).fill_null("").to_numpy().astype(np.str_)
    host = Host(path.stem.removeprefix(PREFIX), model, board_w, wall_w)
    if len(_models(host)) < 3:
        raise InputError(
            f"{path.name}: {len(_models(host))} models with {LEAST_ROWS} rows or more; leaving one out, and one of the"
            " rest for its range, takes three"
        )
    return host


def _models(host: Host) -> list[str]:
    names, counts = np.unique(host.model, return_counts=True)
    return [str(name) for name in names[counts >= LEAST_ROWS]]


def _rows(host: Host) -> list[Row]:
    started = time.perf_counter()
    models = np.unique(host.model)
    mid, ratio, half_frac = (np.zeros(len(host.wall_w)) for _ in range(3))
    for name in models:
        out = host.model == name
        mid[out] = _line(host, ~out) @ _design(host.board_w[out])
        ratio[out] = host.board_w[out] * host.wall_w[~out].sum() / host.board_w[~out].sum()
        half_frac[out] = _half_width_frac(host, ~out)
    low, high = mid * (1 - half_frac), mid * (1 + half_frac)
    fixed_w, per_board = _line(host, np.ones(len(mid), dtype=bool))
    seconds = time.perf_counter() - started
    parts = [("", np.ones(len(mid), dtype=bool)), *((name, host.model == name) for name in _models(host))]
    rows = []
    for name, chosen in parts:
        came = host.wall_w[chosen]
        row = {
            "region": host.device,
            "estimator": "host-line",
            **({"regime": name} if name else {}),
            "fit": "the other models",
            "reference": "wall meter",
            "unit": "W",
            **score(mid[chosen], came, low[chosen], high[chosen]),
            **_relative(mid[chosen], came),
            "baselines": {"ratio": {**score(ratio[chosen], came), **_relative(ratio[chosen], came)}},
        }
        if not name:
            row |= {"fixed_w": fixed_w, "wall_per_board": per_board, "seconds": seconds}
        rows.append(row)
    return rows


def _design(board_w: FloatArray) -> FloatArray:
    return np.stack([np.ones_like(board_w), board_w])


def _line(host: Host, chosen: NDArray[np.bool_]) -> FloatArray:
    """Give watts with an idle board, and watts at the wall per watt of the board, by least squares."""
    found, *_ = np.linalg.lstsq(_design(host.board_w[chosen]).T, host.wall_w[chosen], rcond=None)
    return np.asarray(found, dtype=np.float64)


def _half_width_frac(host: Host, chosen: NDArray[np.bool_]) -> float:
    """Give the conformal half-width from models among the chosen, each left out in turn. [1]"""
    shares = []
    for name in _models(host):
        out = chosen & (host.model == name)
        if out.any():
            said = _line(host, chosen & ~out) @ _design(host.board_w[out])
            shares.append(np.abs(host.wall_w[out] - said) / said)
    ordered = np.sort(np.concatenate(shares))
    return float(ordered[min(int(np.ceil((len(ordered) + 1) * COVERAGE - 1e-9)), len(ordered)) - 1])


def _relative(said: FloatArray, came: FloatArray) -> Row:
    shares = np.abs(said - came) / came
    return {
        "median_error_frac": float(np.median(shares)),
        "p95_error_frac": float(np.quantile(shares, 0.95)),
        "within_frac": float((shares <= WITHIN_FRAC).mean()),
    }
