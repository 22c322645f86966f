"""Steps on disk: Parquet or JSON lines, a row a step, with who took part in a list of their own.

Columns: `start_us` and `end_us` in whole microseconds since 1970 UTC, or `start_utc` and `end_utc` with an offset;
`devices`, a list of names or one name, of those that stepped together; `requests`, a list of records with `request_id`
and of `prefill_tokens`, `cached_tokens`, `decode_tokens`, `work_units` what is known. `n_steps`, `n_active`,
`context_tokens` and the sums of tokens may stand beside them, as in `Steps`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from gridmargin.engines.steps import BY_ROW, Steps, steps_of
from gridmargin.vocab import InputError, TableError, TimeError

TOKENS = {
    "prefill_tokens": "member_prefill", "cached_tokens": "member_cached", "decode_tokens": "member_decode",
    "work_units": "member_work",
}  # fmt: skip
_LINES = (".jsonl", ".ndjson")
_GIVEN = tuple(name for name in BY_ROW if name not in ("group", "start_us", "end_us"))


def read_steps(path: Path) -> Steps:
    """Read a file of steps.

    Raises
    ------
    InputError
        If the file is not there, has another ending, or its steps cannot be (`Steps.ordered`).
    TableError
        If it is cut short or lacks a column, or a cell is bad; names the row, the first step being 0.
    TimeError
        If a time carries no offset.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a file of engine steps in Parquet or JSON lines")
    try:
        # Read from the open file: a name with pattern signs in it stands for itself.
        with path.open("rb") as file:
            if path.suffix == ".parquet":
                frame = pl.read_parquet(file)
            elif path.suffix in _LINES:
                frame = pl.read_ndjson(file, infer_schema_length=None)
            else:
                raise InputError(
                    f"{path.name}: what {path.suffix or 'a file without an ending'} holds is not known; use .parquet or"
                    " .jsonl"
                )
    except pl.exceptions.PolarsError as error:
        raise TableError(
            f"{path.name} cannot be read: {str(error).splitlines()[0]}; it may be cut short, write it again"
        ) from None
    return steps_from(frame, path.name)


def write_steps(steps: Steps, path: Path) -> None:
    """Write a file that `read_steps` reads, whole or not at all.

    Raises
    ------
    InputError
        If the ending is another, or the folder is not there.
    """
    if path.suffix not in (".parquet", *_LINES):
        raise InputError(f"{path.name}: steps are written as .parquet or .jsonl; choose one of these endings")
    if path.is_dir() or not path.parent.is_dir():
        raise InputError(f"{path}: is a folder, or lies in none that is there; name a file in one")
    members = pa.StructArray.from_arrays(
        [
            steps.request_ids.take(pa.array(steps.member)),
            *(pa.array(getattr(steps, ours)) for ours in TOKENS.values()),
        ],
        names=["request_id", *TOKENS],
    )
    frame = pl.DataFrame(
        {
            "devices": pl.Series([list(group) for group in steps.groups], dtype=pl.List(pl.String)).gather(
                steps.group
            ),
            "requests": pl.Series(pa.LargeListArray.from_arrays(pa.array(steps.first_member), members)),
            **{name: getattr(steps, name) for name in BY_ROW if name != "group"},
        }
    ).with_columns(pl.col("context_tokens").fill_nan(None))
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        if path.suffix == ".parquet":
            frame.write_parquet(file)
        else:
            frame.write_ndjson(file)
    part.replace(path)


def steps_from(frame: pl.DataFrame, name: str) -> Steps:
    """Bring a table of steps to `Steps`; see `read_steps`.

    Parameters
    ----------
    name : str
        For people: whose table it is.
    """
    for column in ("devices", "requests"):
        if column not in frame.columns:
            raise TableError(
                f"{name}: needs devices, requests and the times of each step; found {', '.join(frame.columns)}; rename the"
                " column"
            )
    frame = frame.with_columns(
        _moments(frame, "start", name), _moments(frame, "end", name),
        pl.col("devices") if isinstance(frame.schema["devices"], pl.List) else pl.concat_list("devices"),
    )  # fmt: skip
    silent = frame.with_row_index("row").filter(
        pl.col("devices").list.len().fill_null(0).eq(0)
        | pl.col("devices").list.eval(pl.element().is_null()).list.any()
    )
    if silent.height:
        raise TableError(f"{name}, step {silent['row'][0]}: no device; name what the step ran on")
    grouped = frame.select(pl.col("devices").list.eval(pl.element().cast(pl.String)).list.join("\x1f"))[
        "devices"
    ]
    groups = grouped.unique(maintain_order=True)
    columns: dict[str, Any] = {
        "group": grouped.replace_strict(groups, np.arange(len(groups)), return_dtype=pl.Int32).to_numpy(),
        "start_us": frame["start_us"].to_numpy(),
        "end_us": frame["end_us"].to_numpy(),
    }
    for column in _GIVEN:
        if column in frame.columns:
            columns[column] = _numbers(frame[column], f"{name}, step {{}}, column {column}")
    members = _members(frame, name)
    ids = members["request_id"].unique(maintain_order=True)
    return steps_of(
        columns,
        groups=[text.split("\x1f") for text in groups],
        origin=name,
        member_row=members["row"].to_numpy(),
        members={
            "member": members["request_id"]
            .replace_strict(ids, np.arange(len(ids)), return_dtype=pl.Int64)
            .to_numpy(),
            **{
                ours: _numbers(members[theirs].fill_null(0), f"{name}, member {{}} of all, column {theirs}")
                for theirs, ours in TOKENS.items()
                if theirs in members.columns
            },
        },
        request_ids=pa.array(ids.to_list(), pa.string()),
    )


def _members(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    kind = frame.schema["requests"]
    empty = {"row": pl.Int64, "request_id": pl.String}
    if kind == pl.List(pl.Null) or not frame.height:
        return pl.DataFrame(schema=empty)
    if not isinstance(kind, pl.List) or not isinstance(kind.inner, pl.Struct):
        raise TableError(
            f"{name}, column requests: {kind} is no list of records; give each step's requests as a list"
        )
    fields = {field.name for field in kind.inner.fields}
    if "request_id" not in fields or fields - {"request_id", *TOKENS}:
        raise TableError(
            f"{name}, column requests: its records have {', '.join(sorted(fields))}; give request_id and of"
            f" {', '.join(TOKENS)} what is known"
        )
    members = (
        frame.select(pl.int_range(pl.len()).alias("row"), "requests")
        .explode("requests", empty_as_null=True)
        .drop_nulls("requests")
        .unnest("requests")
    )
    nameless = members.filter(pl.col("request_id").is_null())
    if nameless.height:
        raise TableError(
            f"{name}, step {nameless['row'][0]}: a request without a request_id; name it, or leave it out and count it in"
            " n_active"
        )
    return members.with_columns(pl.col("request_id").cast(pl.String))


def _moments(frame: pl.DataFrame, edge: str, name: str) -> pl.Series:
    whole, timed = f"{edge}_us", f"{edge}_utc"
    if whole in frame.columns:
        if not frame.schema[whole].is_integer():
            raise TableError(
                f"{name}, column {whole}: {frame.schema[whole]} is no whole number of microseconds; round it"
            )
        moments = frame[whole].cast(pl.Int64)
    elif timed in frame.columns:
        kind = frame.schema[timed]
        if isinstance(kind, pl.Datetime) and kind.time_zone:
            moments = frame[timed].dt.epoch("us")
        elif kind == pl.String:
            naive = frame.with_row_index("row").filter(
                ~pl.col(timed).str.contains(r"(Z|z|[+-]\d\d:?\d\d)\s*$")
            )
            if naive.height:
                raise TimeError(
                    f"{name}, step {naive['row'][0]}, column {timed}: {naive[timed][0]!r} has no UTC offset (C1); write it"
                    " with Z"
                )
            moments = (
                frame[timed].str.to_datetime(time_unit="us", time_zone="UTC", strict=False).dt.epoch("us")
            )
        else:
            raise TimeError(f"{name}, column {timed}: {kind} has no UTC offset (C1); write it with Z")
    else:
        raise TableError(
            f"{name}: needs {whole} or {timed}; found {', '.join(frame.columns)}; rename the column"
        )
    missing = moments.is_null().arg_true()
    if len(missing):
        raise TableError(f"{name}, step {missing[0]}, column {edge}: no time; correct the cell")
    return moments.alias(whole)


def _numbers(column: pl.Series, where: str) -> np.ndarray[Any, Any]:
    numbers = column.cast(pl.Float64, strict=False)
    bad = (numbers.is_null() & column.is_not_null()).arg_true()
    if len(bad):
        raise TableError(f"{where.format(bad[0])}: {column[bad[0]]!r} is no number; correct the cell")
    return numbers.to_numpy()
