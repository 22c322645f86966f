"""An engine's counters and a board's power, recorded side by side: three CSV files in, `Steps` and readings out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridmargin.engines import Steps, steps_of
from gridmargin.vocab import TableError, TimeError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

ENGINE, POWER, REQUESTS = "engine_4hz.csv", "power_4hz.csv", "requests.csv"

COUNTERS = ("prompt_tokens_total", "generation_tokens_total", "iteration_count_total")

LEVELS_MATCHED = 0.9
"""Share of the prompt counter's values that must be sums of the requests' prompts for the two files to be one run."""


@dataclass(frozen=True, slots=True)
class EngineTrace:
    """One run.

    Attributes
    ----------
    name : str
        Its folder.
    steps : Steps
        One row a stretch between two polls of the engine's counters, on a clock that starts at the file's zero.
    reading_us : array of int64, shape (n,)
    power_w : array, shape (n,)
        NaN where the cell is empty. [W]
    """

    name: str
    steps: Steps
    reading_us: IntArray
    power_w: FloatArray


def read_trace(folder: Path) -> EngineTrace:
    """Read a folder.

    Raises
    ------
    TableError
        If a file is not there, is cut short, lacks a column, has a bad cell, or a counter falls: names the row, the
        header being 1.
    TimeError
        If times do not grow.
    """
    engine = _columns(folder / ENGINE, ("t_s", "num_requests_running", *COUNTERS))
    power = _columns(folder / POWER, ("t_s", "power_w"), may_be_empty=("power_w",))
    for name in COUNTERS:
        fell = np.flatnonzero(np.diff(engine[name]) < 0)
        if len(fell):
            raise TableError(
                f"{folder / ENGINE}, row {fell[0] + 3}: {name} falls from {engine[name][fell[0]]:g} to"
                f" {engine[name][fell[0] + 1]:g}; the engine began anew: keep one side of that row"
            )
    negative = np.flatnonzero(power["power_w"] < 0)
    if len(negative):
        raise TableError(
            f"{folder / POWER}, row {negative[0] + 2}: {power['power_w'][negative[0]]:g} W is no power"
        )
    edges = np.round(engine["t_s"] * 1e6).astype(np.int64)
    requests = folder / REQUESTS
    context = np.full(len(edges) - 1, np.nan)
    if requests.is_file():
        told = _columns(requests, ("input_tokens", "output_tokens"))
        found = context_of(engine, told["input_tokens"], told["output_tokens"])
        context = context if found is None else found
    steps = steps_of(
        {
            "start_us": edges[:-1],
            "end_us": edges[1:],
            "n_steps": np.diff(engine["iteration_count_total"]),
            "n_active": np.rint(
                (engine["num_requests_running"][1:] + engine["num_requests_running"][:-1]) / 2
            ),
            "prefill_tokens": np.diff(engine["prompt_tokens_total"]),
            "decode_tokens": np.diff(engine["generation_tokens_total"]),
            "context_tokens": context,
        },
        groups=[[folder.name]],
        origin=f"{folder.name} engine",
    )
    return EngineTrace(folder.name, steps, np.round(power["t_s"] * 1e6).astype(np.int64), power["power_w"])


def context_of(
    engine: dict[str, FloatArray], input_tokens: FloatArray, output_tokens: FloatArray
) -> FloatArray | None:
    """Give the tokens attended to in each stretch, summed over its steps, from the requests in order of arrival.

    Parameters
    ----------
    engine : dict of arrays, shape (n + 1,)
        Counters at the edges of the stretches.
    input_tokens, output_tokens : arrays, shape (m,)

    Returns
    -------
    array, shape (n,), or None
        None where the requests are not those of the run: the prompt counter's values are not sums of their prompts,
        or as many run at a time as the engine did not say.

    Notes
    -----
    A request is taken in when the prompt counter reaches the sum of the prompts up to its own, in the middle of that
    stretch's steps, and then attends in each step to its prompt and what it has generated, for `output_tokens` steps.
    Prompts that came before the first request (a warm-up) shift the sums; the shift that explains most is taken.
    """
    prompts, steps = engine["prompt_tokens_total"], engine["iteration_count_total"]
    sums = np.cumsum(input_tokens)
    levels = np.unique(prompts)
    best, matched = None, 0.0
    # The count before the first request: none, that of a warm-up, or what makes the first value a sum.
    bases = np.unique(np.concatenate([[0.0], levels[:50], np.maximum(levels[0] - sums[:50], 0.0)]))
    for base in bases:
        mine = levels[(levels > base) & (levels <= base + sums[-1])]
        share = float(np.isin(mine, base + sums).sum()) / max(int((levels > base).sum()), 1)
        # A later start leaves fewer values to explain, so the first of equals counts.
        if len(mine) >= 3 and share > matched:
            best, matched = float(base), share
    if best is None or matched < LEVELS_MATCHED:
        return None
    row = np.searchsorted(prompts, best + sums, side="left")
    came = row < len(prompts)
    row = np.maximum(row[came], 1)
    begin = (steps[row] + steps[row - 1]) / 2.0
    own, length = input_tokens[came], output_tokens[came]
    end = begin + length
    by_begin, by_end = np.argsort(begin), np.argsort(end)
    n_begun = np.searchsorted(begin[by_begin], steps, side="right")
    n_ended = np.searchsorted(end[by_end], steps, side="right")

    def running(values: FloatArray) -> FloatArray:
        begun = np.concatenate([[0.0], np.cumsum(values[by_begin])])[n_begun]
        ended = np.concatenate([[0.0], np.cumsum(values[by_end])])[n_ended]
        return np.asarray(begun - ended, np.float64)

    active = running(np.ones(len(begin)))
    said = engine["num_requests_running"]
    if np.abs(active - said).mean() > 0.5 + 0.25 * said.mean():
        return None
    # Of those that run: prompt × age + age² / 2; of those that ended, the same at their full length.
    total = (
        running(own) * steps - running(own * begin)
        + 0.5 * (active * steps**2 - 2.0 * steps * running(begin) + running(begin**2))
    )  # fmt: skip
    total += np.concatenate([[0.0], np.cumsum((own * length + 0.5 * length**2)[by_end])])[n_ended]
    return np.maximum(np.diff(total), 0.0)


def _columns(
    path: Path, needed: tuple[str, ...], may_be_empty: tuple[str, ...] = ()
) -> dict[str, FloatArray]:
    if not path.is_file():
        raise TableError(f"{path} is not there; a run is {ENGINE}, {POWER} and {REQUESTS} in one folder")
    try:
        frame = pl.read_csv(path, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise TableError(f"{path} cannot be read as a table: {str(error).splitlines()[0]}") from None
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise TableError(f"{path}, row 1: no column {missing[0]!r}; found {', '.join(frame.columns[:12])}")
    _refuse_short_rows(path, len(frame.columns))
    found: dict[str, FloatArray] = {}
    for name in needed:
        text = frame[name].str.strip_chars()
        empty = text.is_null() | (text == "")
        number = text.cast(pl.Float64, strict=False)
        bad = (number.is_null() | ~number.is_finite()) & ~(
            empty if name in may_be_empty else pl.Series([False])
        )
        if bad.any():
            at = int(bad.arg_true()[0])
            raise TableError(
                f"{path}, row {at + 2}, column {name}: {text[at]!r} is not a number; correct the cell, or leave the"
                " row out"
            )
        found[name] = number.fill_null(np.nan).to_numpy()
    if "t_s" in found:
        if len(frame) < 2:
            raise TableError(f"{path} has {len(frame)} rows; give a stretch of time")
        back = np.flatnonzero(np.diff(found["t_s"]) <= 0)
        if len(back):
            raise TimeError(
                f"{path}, row {back[0] + 3}: t_s goes from {found['t_s'][back[0]]:g} to {found['t_s'][back[0] + 1]:g};"
                " put rows in order of time, each time once"
            )
    return found


def _refuse_short_rows(path: Path, n_columns: int) -> None:
    body = path.read_bytes().rstrip(b"\r\n")
    if body.count(b",") == (n_columns - 1) * (body.count(b"\n") + 1):
        return
    for number, line in enumerate(body.split(b"\n"), start=1):
        if line.count(b",") != n_columns - 1:
            raise TableError(
                f"{path}, row {number}: {line.count(b',') + 1} cells, its header has {n_columns}; the file is cut short"
                " or damaged"
            )
