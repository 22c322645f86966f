"""Steps from counters: what an engine's totals gained between one scrape and the next, a stretch each.

A stretch is a row of `Steps` whose `n_steps` is above 1 and whose requests are counted and not named.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gridmargin.engines.exposition import Page, pages_of
from gridmargin.engines.reader import Groups, Told, group_of
from gridmargin.engines.steps import steps_of
from gridmargin.vocab import InputError, MetricLine

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

STARTED = "process_start_time_seconds"
"""When the process behind a page began, where its client library says so. [s since 1970 UTC]"""

LONG = 3.0
"""A stretch longer than this many usual ones is said to have missing scrapes. [1]"""


@dataclass(frozen=True, slots=True)
class Metric:
    """A name on the page, and which of its series count.

    Attributes
    ----------
    name : str
        As on the page: counters with `_total`, histograms with `_sum` or `_count`.
    labels : mapping of str to tuple of str
        Label to the values that count; the series are summed.
    """

    name: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def counts(self, line: MetricLine) -> bool:
        """Say whether a line is one of its series."""
        return line.name == self.name and all(
            line.labels.get(label) in values for label, values in self.labels.items()
        )


@dataclass(frozen=True, slots=True)
class Words:
    """Where a page says what; of several spellings the first that occurs is read.

    Attributes
    ----------
    prefill, prompt : sequences of Metric
        Prompt tokens computed; prompt tokens of any kind, from which those cached are taken where `prefill` is not told.
    cached : sequence of Metric
        Prompt tokens taken from a cache.
    decode, generated, first : sequences of Metric
        Tokens decoded; tokens generated, from which one for each `first` is taken where `decode` is not told, since it
        came out of the prefill.
    drafted, accepted : sequences of Metric
        Tokens proposed by speculative decoding, and of them those kept.
    steps : sequence of Metric
        Passes of the engine.
    running : sequence of Metric
        Requests in the engine, as it is now.
    engines : tuple of str
        Labels that tell several engines on one page apart.
    ranks : tuple of str
        Labels of which only 0 counts: the ranks of one engine say the same.
    """

    prefill: Sequence[Metric] = ()
    prompt: Sequence[Metric] = ()
    cached: Sequence[Metric] = ()
    decode: Sequence[Metric] = ()
    generated: Sequence[Metric] = ()
    first: Sequence[Metric] = ()
    drafted: Sequence[Metric] = ()
    accepted: Sequence[Metric] = ()
    steps: Sequence[Metric] = ()
    running: Sequence[Metric] = ()
    engines: tuple[str, ...] = ()
    ranks: tuple[str, ...] = ()


QUANTITIES = (
    "prefill", "prompt", "cached", "decode", "generated", "first", "drafted", "accepted", "steps", "running",
)  # fmt: skip
GAUGES = ("running",)

NEVER = int(np.iinfo(np.int64).min)


@dataclass(frozen=True, slots=True)
class Track:
    """One engine's totals, scrape by scrape; NaN where a page does not say.

    Attributes
    ----------
    time_us : array of int64, shape (n,)
    values : mapping of str to array of float64, shape (n,)
    started_s : array of float64, shape (n,)
    """

    time_us: IntArray
    values: Mapping[str, FloatArray]
    started_s: FloatArray


@dataclass(frozen=True, slots=True)
class CounterReader:
    """Reads recorded pages of one kind of engine; see `EngineReader`."""

    name: str
    source: str
    tells: str
    lacks: str
    read_at: str
    words: Words

    def read(self, paths: Sequence[Path], groups: Groups) -> Told:
        """Read pages, in order of time.

        Raises
        ------
        GridmarginError
            As `pages_of`; and if no page has a name that this engine uses.
        """
        names = [metric.name for quantity in QUANTITIES for metric in getattr(self.words, quantity)]
        pages = list(pages_of(paths, [*names, STARTED]))
        files = " and ".join(path.name for path in paths)
        tracks = tracks_of(pages, self.words)
        if not tracks:
            raise InputError(
                f"{files}: no page has any of {', '.join(dict.fromkeys(names))}; check that {self.name} is the engine that"
                " wrote it"
            )
        devices = group_of(groups, list(tracks), files)
        parts: dict[str, list[FloatArray | IntArray]] = {}
        rows, notes = [], []
        for number, (engine, track) in enumerate(tracks.items()):
            of = f"engine {engine}: " if len(tracks) > 1 else ""
            columns, said = stretches(track)
            rows.append(np.full(len(columns["start_us"]), number))
            notes += [of + note for note in said]
            for name, column in columns.items():
                parts.setdefault(name, []).append(column)
        steps = steps_of(
            {name: np.concatenate(column) for name, column in parts.items()}
            | {"group": np.concatenate(rows)},
            groups=devices,
            origin=files,
        )
        return Told(steps, tuple(notes))


def tracks_of(pages: Sequence[Page], words: Words) -> dict[str, Track]:
    """Sort values by engine and quantity; only engines with a counter of steps or tokens are given."""
    occurring = {line.name for page in pages for line in page.lines}
    chosen: dict[str, Metric] = {}
    for quantity in QUANTITIES:
        for metric in getattr(words, quantity):
            if metric.name in occurring:
                chosen[quantity] = metric
                break
    # What is told outright is not worked out beside it: the parts may be other processes', under other labels.
    for told_outright, parts in (("prefill", ("prompt",)), ("decode", ("generated", "first"))):
        for part in parts if told_outright in chosen else ():
            chosen.pop(part, None)
    cells: dict[str, dict[str, FloatArray]] = {}
    n = len(pages)
    for at, page in enumerate(pages):
        for line in page.lines:
            if any(line.labels.get(rank, "0") != "0" for rank in words.ranks):
                continue
            engine = "/".join(line.labels[label] for label in words.engines if label in line.labels)
            for quantity, metric in chosen.items():
                if metric.counts(line):
                    cell = cells.setdefault(engine, {}).setdefault(quantity, np.full(n, np.nan))
                    cell[at] = line.value if np.isnan(cell[at]) else cell[at] + line.value
    time_us = np.array([page.time_us for page in pages], np.int64)
    started_s = np.array(
        [next((line.value for line in page.lines if line.name == STARTED), np.nan) for page in pages]
    )
    counted = [engine for engine, values in cells.items() if set(values) - set(GAUGES)]
    return {engine: Track(time_us, cells[engine], started_s) for engine in sorted(counted, key=_by_number)}


def stretches(track: Track) -> tuple[dict[str, FloatArray | IntArray], list[str]]:
    """Give what was gained between one page and the next, and what could not be told.

    A page stamped before an earlier one, and a page without the counters, are passed over; a stretch over a restart has
    no row; nor has one in which nothing was gained.
    """
    counters, run, known = _since_start(track)
    newest = np.maximum.accumulate(np.where(known, track.time_us, NEVER))
    before = np.concatenate([[NEVER], newest[:-1]])
    early = known & (track.time_us <= before)
    notes = []
    if not known.all():
        notes.append(f"{(~known).sum()} of {len(known)} pages do not have the counters; passed over")
    if early.any():
        notes.append(
            f"{early.sum()} pages are stamped up to {(before - track.time_us)[early].max() / 1e6:g} s before an earlier one;"
            " passed over: the clock was set back, or the files are out of order"
        )
    kept = np.flatnonzero(known & ~early)
    time_us, run = track.time_us[kept], run[kept]
    restart = np.diff(run) > 0
    length_us = np.diff(time_us)
    if restart.any():
        notes.append(
            f"{restart.sum()} restarts: what ran in the {length_us[restart].sum() / 1e6:g} s around them is not told"
        )
    usual_us = float(np.median(length_us)) if len(length_us) else 0.0
    long = length_us > LONG * usual_us
    if long.any():
        notes.append(
            f"{long.sum()} stretches of up to {length_us[long].max() / 1e6:g} s where {usual_us / 1e6:g} s are usual: scrapes"
            " are missing, what they would have counted is not"
        )
    gained = {name: np.where(restart, 0.0, np.diff(column[kept])) for name, column in counters.items()}
    columns, assumed = _columns(gained, run[1:], _most_running(track, kept))
    moved = columns["prefill_tokens"] + columns["decode_tokens"] + gained.get("steps", 0.0) > 0
    rows = np.flatnonzero(moved & ~restart)
    whole: dict[str, FloatArray | IntArray] = {name: column[rows] for name, column in columns.items()}
    return whole | {"start_us": time_us[:-1][rows], "end_us": time_us[1:][rows]}, [*notes, *assumed]


def _since_start(track: Track) -> tuple[dict[str, FloatArray], IntArray, NDArray[np.bool_]]:
    """Give the counters, which run of the process each page is of, and which pages say all that their run has said.

    A counter that falls, or another start of the process, begins a run. A series appears with its first event: before
    it has spoken in a run it stands at 0.
    """
    given = {name: column for name, column in track.values.items() if name not in GAUGES}
    fell = np.abs(track.started_s - _before(track.started_s)) > 1.0
    for column in given.values():
        fell |= column < _before(column)
    run: IntArray = np.cumsum(fell, dtype=np.int64)
    counters: dict[str, FloatArray] = {}
    for name, column in given.items():
        spoke = np.full(int(run[-1]) + 1, len(column))
        np.minimum.at(spoke, run, np.where(np.isnan(column), len(column), np.arange(len(column))))
        counters[name] = np.where(np.arange(len(column)) < spoke[run], 0.0, column)
    said_any = np.any([~np.isnan(column) for column in track.values.values()], axis=0)
    return counters, run, said_any & ~np.any([np.isnan(column) for column in counters.values()], axis=0)


def _before(column: FloatArray) -> FloatArray:
    """Give the last value that was told before each page; NaN where none was."""
    at = np.maximum.accumulate(np.where(np.isnan(column), -1, np.arange(len(column))))
    at = np.concatenate([[-1], at[:-1]])
    return np.where(at < 0, np.nan, column[at])


def _most_running(track: Track, kept: IntArray) -> FloatArray:
    """Give the requests seen at either end of each stretch, the more of the two."""
    running = np.nan_to_num(track.values.get("running", np.zeros(len(track.time_us))))[kept]
    return np.maximum(running[:-1], running[1:])


def _columns(
    gained: Mapping[str, FloatArray], run: IntArray, running: FloatArray
) -> tuple[dict[str, FloatArray], list[str]]:
    none = np.zeros(len(run))
    notes = []
    cached = gained.get("cached", none)
    prefill = gained.get("prefill")
    if prefill is None:
        # A hit is counted as a prompt is taken up, the prompt when it is done: what is short now is taken from later.
        prefill = _never_below(gained.get("prompt", none) - cached, run)
    decode = gained.get("decode")
    if decode is None:
        decode = _never_below(gained.get("generated", none) - gained.get("first", none), run)
    decode = decode + _never_below(gained.get("drafted", none) - gained.get("accepted", none), run)
    any_tokens = prefill + decode > 0
    steps = gained.get("steps")
    if steps is None:
        notes.append("steps are not counted: decoded tokens over the requests seen stand for them")
        steps = decode / np.maximum(running, 1.0)
    return {
        "prefill_tokens": prefill,
        "cached_tokens": cached,
        "decode_tokens": decode,
        "n_steps": np.where(any_tokens, np.maximum(steps, 1.0), steps),
        "n_active": np.maximum(running, 1.0),
    }, notes


def _never_below(change: FloatArray, run: IntArray) -> FloatArray:
    """Give the same without a step below 0: what is short is taken from what follows in the same run."""
    out = np.zeros(len(change))
    for start, stop in _runs(run):
        highest = np.maximum.accumulate(np.maximum(np.cumsum(change[start:stop]), 0.0))
        out[start:stop] = np.diff(highest, prepend=0.0)
    return out


def _runs(run: IntArray) -> Iterator[tuple[int, int]]:
    if len(run):
        edges = [0, *(np.flatnonzero(np.diff(run)) + 1).tolist(), len(run)]
        yield from itertools.pairwise(edges)


def _by_number(engine: str) -> tuple[tuple[int, str], ...]:
    return tuple((int(part) if part.isdecimal() else -1, part) for part in engine.split("/"))
