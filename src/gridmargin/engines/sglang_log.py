"""SGLang by its log, with `--enable-request-time-stats-logging`: a line a request, when it has ended, with its id.

    [2026-07-15 18:14:03 TP0] ReqTimeStats(rid=8f…, input_len=400, cached_input_len=128, output_len=40, attempts=0,
    type=unified): queue_duration=0.41ms, forward_duration=1321.16ms, entry_time=1784139242.267

The stamp in front has no offset and is not read: `entry_time` is in seconds since 1970 UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from gridmargin.engines.reader import Groups, Told, group_of, lines_of
from gridmargin.engines.spans import Spans, reused, steps_of_spans
from gridmargin.vocab import InputError, TableError

BEGINS = "ReqTimeStats(rid="
HEALTH = "HEALTH_CHECK"
"""How the ids of SGLang's own probes begin."""

_FIELDS = {
    "request_id": r"rid='?([^,')]+)",
    "type": r"type=(\w+)\)",
    "input_len": r"[( ]input_len=(\d+)",
    "cached_input_len": r"cached_input_len=(\d+)",
    "output_len": r"output_len=(\d+)",
    "queue_ms": r"queue_duration=(-?[\d.]+)ms",
    "forward_ms": r"forward_duration=(-?[\d.]+)ms",
    "entry_s": r"entry_time=([\d.]+)",
}
_NEEDED = ("input_len", "output_len", "queue_ms", "forward_ms", "entry_s")


class SglangLogReader:
    """See `EngineReader`."""

    name = "sglang_log"
    source = "SGLang's log (--enable-request-time-stats-logging)"
    tells = "each ended request by id, when it was served, its tokens computed, cached and decoded"
    lacks = (
        "single steps: stretches between comings and goings; when the prompt was read: it is spread over the request's time,"
        " as its answer; requests that have not ended; rejected tokens"
    )
    read_at = "sglang 0.5.23: Req.log_time_stats and SchedulerReqTimeStats.convert_to_duration"

    def read(self, paths: Sequence[Path], groups: Groups) -> Told:
        """Read logs; see `EngineReader`.

        Raises
        ------
        TableError
            If a line lacks a figure: names it, the first being 0.
        """
        files = " and ".join(path.name for path in paths)
        frames, cuts = zip(*(_read(path) for path in paths), strict=True)
        frame, notes = pl.concat(frames), [note for cut in cuts for note in cut]
        probes = frame.filter(pl.col("request_id").str.starts_with(HEALTH)).height
        frame = frame.filter(~pl.col("request_id").str.starts_with(HEALTH))
        if probes:
            notes.append(f"{probes} of SGLang's own health checks are left out")
        if not frame.height:
            raise InputError(
                f"{files}: no request's ReqTimeStats; start SGLang with --enable-request-time-stats-logging"
            )
        apart = frame.filter(pl.col("type").str.to_lowercase() != "unified")
        if apart.height:
            raise InputError(
                f"{files}: {apart.height} requests are of type {apart['type'][0]}: prefill and decode run apart; this reader"
                " knows one engine that does both, use the gateway's streams"
            )
        [group] = group_of(groups, [""], files)
        begin_us = ((frame["entry_s"] * 1e3 + frame["queue_ms"]) * 1e3).round().cast(pl.Int64)
        end_us = begin_us + (frame["forward_ms"] * 1e3).round().cast(pl.Int64)
        cached = frame["cached_input_len"].fill_null(0).to_numpy()
        if frame["cached_input_len"].null_count():
            notes.append(
                f"{frame['cached_input_len'].null_count()} lines do not tell cached tokens; taken as none"
            )
        spans = Spans(
            request_ids=frame["request_id"].to_list(),
            begin_us=begin_us.to_numpy(),
            first_us=np.full(frame.height, -1),
            end_us=end_us.to_numpy(),
            prefill_tokens=np.maximum(frame["input_len"].to_numpy() - cached, 0.0),
            cached_tokens=cached,
            decode_tokens=np.maximum(frame["output_len"].to_numpy() - 1.0, 0.0),
        )
        return Told(steps_of_spans(spans, group, files), (*notes, *reused(spans.request_ids)))


def _read(path: Path) -> tuple[pl.DataFrame, tuple[str, ...]]:
    lines, cut = lines_of(path)
    every = pl.Series("line", lines, pl.String)
    told = (
        pl.DataFrame({"line": every})
        .with_row_index("at")
        .filter(pl.col("line").str.contains(BEGINS, literal=True))
    )
    read = told.select(
        "at",
        *[
            pl.col("line")
            .str.extract(pattern)
            .cast(pl.String if name in ("request_id", "type") else pl.Float64)
            .alias(name)
            for name, pattern in _FIELDS.items()
        ],
    )
    for name in ("request_id", "type", *_NEEDED):
        missing = read.filter(pl.col(name).is_null())
        if missing.height:
            raise TableError(
                f"{path.name}, line {missing['at'][0]}: ReqTimeStats without {name}; it may be cut short: leave the"
                " line out"
            )
    return read, cut


READER = SglangLogReader()
