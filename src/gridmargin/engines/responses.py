"""Recorded answers of a server, one JSON line each, with when they came: figures alone, never what was written.

    {"received_utc": "2026-07-15T18:14:03.250Z", "id": "chatcmpl-…", "timings": {…}, …}

Other fields of the answer may stand in the line and are not read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

import polars as pl

from gridmargin.engines.reader import lines_of
from gridmargin.vocab import InputError, TableError, TimeError


def answers_of(
    paths: Sequence[Path], under: str, figures: Mapping[str, bool]
) -> tuple[pl.DataFrame, list[str]]:
    """Give `received_us`, `request_id` and the figures of each answer, and what was left out.

    Parameters
    ----------
    under : str
        The field that holds the figures.
    figures : mapping of str to bool
        Name to whether every answer has it.

    Raises
    ------
    InputError
        If a file is not there.
    TableError
        If a line is no answer, or lacks a figure: names it, the first being 0.
    TimeError
        If `received_utc` has no offset.
    """
    frames: list[pl.DataFrame] = []
    notes: list[str] = []
    for path in paths:
        lines, cut = lines_of(path)
        notes += cut
        frames.append(_answers_of("\n".join(lines), path, under, figures))
    return pl.concat(frames), notes


def _answers_of(text: str, path: Path, under: str, figures: Mapping[str, bool]) -> pl.DataFrame:
    schema: dict[str, pl.DataType | type[pl.DataType]] = {
        "received_utc": pl.String,
        "id": pl.String,
        under: pl.Struct(dict.fromkeys(figures, pl.Float64)),
    }
    try:
        frame = pl.read_ndjson(BytesIO(text.encode()), schema=schema).with_row_index("at")
    except pl.exceptions.PolarsError as error:
        raise TableError(
            f"{path.name} cannot be read: {str(error).splitlines()[0]}; give a JSON line an answer"
        ) from None
    if not frame.height:
        raise InputError(f"{path.name} has no answer; record a JSON line for each")
    for name in ("received_utc", "id", under):
        _need(frame, name, path)
    frame = frame.unnest(under)
    for name, always in figures.items():
        if always:
            _need(frame, name, path)
    naive = frame.filter(~pl.col("received_utc").str.contains(r"(Z|z|[+-]\d\d:?\d\d)\s*$"))
    if naive.height:
        raise TimeError(
            f"{path.name}, line {naive['at'][0]}: received_utc {naive['received_utc'][0]!r} has no UTC offset (C1); write it"
            " with Z"
        )
    received = frame["received_utc"].str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
    bad = received.is_null().arg_true()
    if len(bad):
        raise TimeError(
            f"{path.name}, line {bad[0]}: received_utc {frame['received_utc'][bad[0]]!r} is no time such as"
            " 2026-07-15T18:14:03.250Z"
        )
    return frame.select(
        received.dt.epoch("us").alias("received_us"), pl.col("id").alias("request_id"), *figures
    )


def _need(frame: pl.DataFrame, name: str, path: Path) -> None:
    missing = frame.filter(pl.col(name).is_null())
    if missing.height:
        raise TableError(
            f"{path.name}, line {missing['at'][0]}: no {name}; leave the line out, or record it with the answer"
        )
