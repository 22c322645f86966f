"""Backtest `batch-energy`: energy per output at a batch size that was left out, and under another serving stack.

Reads tables in the shape of the ML.ENERGY benchmark (one row a configuration and batch size) and, where one lies in the
same folder, the run of an engine of another stack version.
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

from gridmargin.attribution import STACK_HIGH, STACK_LOW, local_line, whole_line
from gridmargin.evaluation.ask import Ask
from gridmargin.evaluation.engine_trace import ENGINE, read_trace
from gridmargin.evaluation.scores import Row, report, score
from gridmargin.vocab import InputError, TableError, UnknownNameError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

PATTERN = "mlenergy_*_flat.csv"
STACK_COLUMNS = ("stack", "stack_version", "engine_version", "vllm_version", "version")

CONFIGURATION = (
    "model", "gpu_model", "num_gpus", "task", "prec", "par_data_parallel", "par_expert_parallel", "par_tensor_parallel",
    "par_ring_degree", "par_ulysses_degree", "inference_steps", "image_height", "image_width", "video_height",
    "video_width", "num_frames", "fps",
)  # fmt: skip
"""What has to be equal for two rows to differ by their batch size alone; of these, the columns that the table has."""

FEWEST_BATCH_SIZES = 4
"""Of a configuration whose batch sizes are left out one at a time."""

ARTICLE_CHANGE_FRAC = -0.35
"""What the article that this project answers to says of 8 → 64."""

RUNS = {"h100_engine_steps": ("Qwen/Qwen3-8B", "H100")}
"""Model and device of recorded runs whose files name neither: grantwilkins/powertrace-sim, commit 96361ef."""

EXPLANATION = (
    "batch 8 to 64: measured configurations fall by {median:.0%} (median of {n}; {most:.0%} to {least:.0%}), the article"
    " says -35 %; one doubling makes {doubling:.0%}, so -35 % is one doubling and 8 to 64 is three"
)


@dataclass(frozen=True, slots=True)
class Curve:
    """One configuration of one stack: energy per output at each batch size, by batch size.

    Attributes
    ----------
    name : tuple
        Values of the configuration's columns.
    batch, energy_j : arrays, shape (n,)
        Mean batch size, and energy per token, image or video. [1, J]
    asked : array, shape (n,)
        The batch size that was asked for, by which 8 and 64 are found. [1]
    request_j : array, shape (n,)
        Energy per request, where the table has it; per output elsewhere. [J]
    """

    name: tuple[Any, ...]
    device: str
    task: str
    stack: str
    batch: FloatArray
    energy_j: FloatArray
    asked: FloatArray
    request_j: FloatArray


def run(ask: Ask) -> dict[str, Any]:
    """Score every device; `region` names one.

    Raises
    ------
    InputError
        If there is no table, or none of its configurations has enough batch sizes.
    """
    started = time.perf_counter()
    why = "leaves out batch sizes and has no date"
    ask.refuse(
        "batch-energy",
        why,
        "avert",
        "train_year",
        "test_year",
        "test_from",
        "test_to",
        "horizon_min",
        "train_s",
    )
    paths = sorted(ask.data.rglob(PATTERN))
    if not paths:
        raise InputError(f"no table named {PATTERN} under {ask.data}")
    curves = [curve for path in paths for curve in read_curves(path)]
    devices = sorted({curve.device for curve in curves})
    if ask.region not in (None, *devices):
        raise UnknownNameError("device of the batch-energy backtest", str(ask.region), devices)
    stacks = [curve.stack for curve in curves]
    own = max(sorted(set(stacks), reverse=True), key=stacks.count)
    rows: list[Row] = []
    notes: list[str] = []
    for device in devices if ask.region is None else [ask.region]:
        mine = [curve for curve in curves if curve.device == device and curve.stack == own]
        enough = [curve for curve in mine if len(curve.batch) >= FEWEST_BATCH_SIZES]
        if enough:
            rows += _left_out_rows(device, own, enough)
        rows += _change_rows(device, own, mine)
        others = [curve for curve in curves if curve.device == device and curve.stack != own]
        rows += _other_stack_rows(device, own, enough, _measured(others) + _engine_runs(ask.data, device))
    if not rows:
        raise InputError(
            f"no configuration under {ask.data} has {FEWEST_BATCH_SIZES} batch sizes; give a table with more"
        )
    changes, doublings = _changes(
        [c for c in curves if c.stack == own and c.device in {r["region"] for r in rows}]
    )
    if len(changes):
        notes.append(
            EXPLANATION.format(
                median=np.median(changes), n=len(changes), most=changes.min(), least=changes.max(),
                doubling=np.median(doublings),
            )
        )  # fmt: skip
    if not any(row.get("out_of_profile") for row in rows):
        notes.append(
            f"no other stack version lies beside {own}: a table with a column {' or '.join(STACK_COLUMNS[:2])}, a second"
            f" {PATTERN} or the run {next(iter(RUNS))} would be held against its range"
        )
    versions = {name: version(name) for name in ("gridmargin", "numpy", "scipy")}
    return report("batch-energy", versions, time.perf_counter() - started, rows) | {"notes": notes}


def read_curves(path: Path) -> list[Curve]:
    """Read a table.

    Raises
    ------
    TableError
        If it is cut short, lacks a column, or an energy or batch size is not above 0; names the row, the header
        being 1.
    """
    try:
        table = pl.read_csv(path, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise TableError(f"{path} cannot be read as a table: {str(error).splitlines()[0]}") from None
    for name in ("model", "gpu_model", "num_gpus", "task"):
        if name not in table.columns:
            raise TableError(f"{path}, row 1: no column {name!r}; found {', '.join(table.columns[:12])} …")
    energies = [
        name
        for name in ("energy_per_token_joules", "energy_per_image_joules", "energy_per_video_joules")
        if name in table.columns
    ]
    if not energies:
        raise TableError(f"{path}, row 1: no column of energy per token, image or video")
    sizes = [name for name in ("avg_batch_size", "batch_size") if name in table.columns]
    asked = [name for name in ("max_num_seqs", "batch_size") if name in table.columns]
    if not sizes or not asked:
        raise TableError(
            f"{path}, row 1: no column of batch size (avg_batch_size and max_num_seqs, or batch_size)"
        )
    stacks = [name for name in STACK_COLUMNS if name in table.columns]
    stack = pl.col(stacks[0]).cast(pl.String) if stacks else pl.lit(path.stem.removesuffix("_flat"))
    table = table.with_row_index("row", offset=2).with_columns(
        pl.coalesce(energies).alias("energy_j"),
        pl.coalesce(sizes).alias("batch"),
        pl.coalesce(asked).alias("asked"),
        pl.coalesce(
            [*(name for name in ("energy_per_request_joules",) if name in table.columns), *energies]
        ).alias("request_j"),
        stack.alias("own_stack"),
    )
    bad = table.filter(
        ~((pl.col("energy_j") > 0) & (pl.col("batch") > 0)).fill_null(value=False)
        | pl.any_horizontal(pl.col("model", "gpu_model", "num_gpus", "task").is_null())
    )
    if bad.height:
        first = bad.row(0, named=True)
        raise TableError(
            f"{path}, row {first['row']}: energy per output {first['energy_j']}, batch size {first['batch']}, model"
            f" {first['model']}; each is needed, and the numbers above 0"
        )
    keys = ["own_stack", *(name for name in CONFIGURATION if name in table.columns)]
    found = []
    for values, part in table.group_by(keys, maintain_order=True):
        rows = part.unique("batch", keep="first", maintain_order=True).sort("batch")
        found.append(
            Curve(
                name=values[1:],
                device=str(rows["gpu_model"][0]),
                task=str(rows["task"][0]),
                stack=str(values[0]),
                batch=rows["batch"].cast(pl.Float64).to_numpy(),
                energy_j=rows["energy_j"].cast(pl.Float64).to_numpy(),
                asked=rows["asked"].cast(pl.Float64).to_numpy(),
                request_j=rows["request_j"].cast(pl.Float64).to_numpy(),
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class _LeftOut:
    """Predictions of each batch size from the others of its configuration, of all configurations together."""

    curve: NDArray[np.int64]
    edge: BoolArray
    energy_j: FloatArray
    local_j: FloatArray
    whole_j: FloatArray
    nearest_j: FloatArray

    @property
    def error(self) -> FloatArray:
        """How far off in logarithm, without sign."""
        return np.abs(np.log(self.energy_j / self.local_j))


def _leave_out(curves: list[Curve]) -> _LeftOut:
    found = []
    for place, curve in enumerate(curves):
        for i, at in enumerate(curve.batch):
            rest = np.arange(len(curve.batch)) != i
            batch, energy = curve.batch[rest], curve.energy_j[rest]
            nearest = energy[np.abs(np.log(batch / at)).argmin()]
            found.append(
                (
                    place, i in (0, len(curve.batch) - 1), curve.energy_j[i], local_line(batch, energy, at),
                    whole_line(batch, energy, at), nearest,
                )
            )  # fmt: skip
    columns = np.array(found, np.float64).T
    return _LeftOut(columns[0].astype(np.int64), columns[1].astype(np.bool_), *columns[2:])


def _half_widths(left: _LeftOut) -> FloatArray:
    """Give each prediction's 90 % half-width in logarithm, from the other configurations, edges apart from the rest."""
    half = np.empty(len(left.energy_j))
    error = left.error
    for place in np.unique(left.curve):
        for edge in (False, True):
            others = np.sort(error[(left.curve != place) & (left.edge == edge)])
            if not len(others):
                others = np.sort(error)
            rank = min(int(np.ceil(0.9 * (len(others) + 1))), len(others)) - 1
            half[(left.curve == place) & (left.edge == edge)] = others[rank]
    return half


def _left_out_rows(device: str, stack: str, curves: list[Curve]) -> list[Row]:
    rows = []
    kinds: list[tuple[str, list[Curve]]] = [
        ("token", [c for c in curves if not c.task.startswith("text-to-")])
    ]
    kinds += [(kind, [c for c in curves if c.task == f"text-to-{kind}"]) for kind in ("image", "video")]
    for kind, mine in kinds:
        if not mine:
            continue
        left = _leave_out(mine)
        half = _half_widths(left)
        every = np.ones(len(half), np.bool_)
        for regime, use in (
            ("", every),
            ("between the others", ~left.edge),
            ("beyond the others", left.edge),
        ):
            row: Row = {
                "region": device,
                "estimator": "c0 + c1 / B, near sizes first",
                "fit": stack,
                "reference": f"energy per {kind}, its batch size left out",
                "unit": f"J/{kind}",
                "n_configurations": len(mine),
            }
            if regime:
                row["regime"] = regime
            low, high = left.local_j * np.exp(-half), left.local_j * np.exp(half)
            row |= score(left.local_j[use], left.energy_j[use], low[use], high[use])
            row |= _relative(left.local_j[use], left.energy_j[use])
            row["baselines"] = {
                name: {
                    "mae": float(np.abs(guess - left.energy_j)[use].mean()),
                    **_relative(guess[use], left.energy_j[use]),
                }
                for name, guess in (("one_line", left.whole_j), ("nearest_size", left.nearest_j))
            }
            rows.append(row)
    return rows


def _relative(guess: FloatArray, measured: FloatArray) -> Row:
    off = np.abs(guess / measured - 1.0)
    return {"median_error_frac": float(np.median(off)), "mape": float(off.mean())}


def _changes(curves: list[Curve]) -> tuple[FloatArray, FloatArray]:
    """Give the change of energy per request from batch size 8 to 64 of each configuration, and of every doubling."""
    whole, doublings = [], []
    for curve in curves:
        if curve.task.startswith("text-to-"):
            continue
        at = dict(zip(curve.asked.tolist(), curve.request_j.tolist(), strict=True))
        if 8.0 in at and 64.0 in at:
            whole.append(at[64.0] / at[8.0] - 1.0)
        doublings += [at[2 * b] / at[b] - 1.0 for b in (8.0, 16.0, 32.0) if b in at and 2 * b in at]
    return np.array(whole), np.array(doublings)


def _change_rows(device: str, stack: str, curves: list[Curve]) -> list[Row]:
    changes, doublings = _changes(curves)
    if not len(changes):
        return []
    return [
        {
            "region": device,
            "estimator": "measured",
            "fit": stack,
            "reference": "energy per request, batch 8 to 64",
            "unit": "1",
            "n": len(changes),
            "change_frac": float(np.median(changes)),
            "largest_fall_frac": float(changes.min()),
            "smallest_fall_frac": float(changes.max()),
            "one_doubling_frac": float(np.median(doublings)),
            "baselines": {"article": {"change_frac": ARTICLE_CHANGE_FRAC}},
        }
    ]


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """Energy per output that another stack was measured to take."""

    name: tuple[Any, ...]
    stack: str
    batch: float
    energy_j: float


def _measured(curves: list[Curve]) -> list[_Elsewhere]:
    return [
        _Elsewhere(curve.name, curve.stack, float(batch), float(energy))
        for curve in curves
        for batch, energy in zip(curve.batch, curve.energy_j, strict=True)
    ]


def _engine_runs(data: Path, device: str) -> list[_Elsewhere]:
    """Give the whole of each recorded run whose model is known as one measurement of another stack."""
    found = []
    for path in sorted(data.rglob(ENGINE)):
        model, own = RUNS.get(path.parent.name, ("", ""))
        if own != device:
            continue
        trace = read_trace(path.parent)
        steps = trace.steps
        inside = (trace.reading_us >= steps.start_us[0]) & (trace.reading_us <= steps.end_us[-1])
        watts = float(np.nanmean(trace.power_w[inside]))
        tokens, ran = float(steps.decode_tokens.sum()), float(steps.n_steps.sum())
        if tokens > 0 and ran > 0:
            energy = watts * float(steps.end_us[-1] - steps.start_us[0]) / 1e6
            found.append(_Elsewhere((model,), f"run {trace.name}", tokens / ran, energy / tokens))
    return found


def _other_stack_rows(device: str, own: str, curves: list[Curve], elsewhere: list[_Elsewhere]) -> list[Row]:
    """Hold what another stack took against the profiles of this one: flagged, and by the wider range."""
    rows: list[Row] = []
    tokens = [curve for curve in curves if not curve.task.startswith("text-to-")]
    for stack in sorted({point.stack for point in elsewhere}):
        guess, measured, near = [], [], []
        for point in elsewhere:
            if point.stack != stack:
                continue
            # A run names its model alone: the configuration on one device with a chat's lengths is the likest.
            like = [c for c in curves if c.name == point.name] or sorted(
                (c for c in tokens if len(point.name) == 1 and c.name[0] == point.name[0]),
                key=lambda c: (c.name[2], c.task != "lm-arena-chat"),
            )
            if not like:
                continue
            curve = like[0]
            guess.append(local_line(curve.batch, curve.energy_j, point.batch))
            measured.append(point.energy_j)
            near.append(curve)
        if not guess:
            continue
        said, took = np.array(guess), np.array(measured)
        alone = list({id(curve): curve for curve in near}.values())
        error = _leave_out(alone if len(alone) > 1 else curves).error
        half = float(np.quantile(error, 0.9))
        low = said * (1.0 - np.hypot(1.0 - np.exp(-half), STACK_LOW))
        high = said * (1.0 + np.hypot(np.exp(half) - 1.0, STACK_HIGH))
        narrow = float(((took >= said * np.exp(-half)) & (took <= said * np.exp(half))).mean())
        rows.append(
            {
                "region": device,
                "estimator": "c0 + c1 / B, near sizes first",
                "fit": f"out of profile: fitted on {own}",
                "regime": stack,
                "reference": "energy per output of another stack",
                "unit": "J",
                "out_of_profile": True,
                **score(said, took, low, high),
                **_relative(said, took),
                "change_frac": float(np.median(took / said) - 1.0),
                "in_profile_coverage90": narrow,
                "baselines": {},
            }
        )
    return rows
