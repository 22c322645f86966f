"""A request log on disk: found out, checked, put in order, streamed.

DuckDB reads Parquet, CSV and JSON lines, checks and sorts them out of core, and hands over batches; a log of ten million
requests never stands in memory whole.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import itertools
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from gridmargin.requests.request import OUTCOMES, WORDS, RequestBatch
from gridmargin.vocab import EARLIEST_YEAR, LATEST_YEAR, InputError, TableError, TimeError

NAMES: Mapping[str, tuple[str, ...]] = {
    "arrival": (
        "arrival",
        "arrival_utc",
        "arrival_time",
        "timestamp",
        "start",
        "start_utc",
        "created_at",
        "time_utc",
        "time",
    ),
    "prompt_tokens": ("prompt_tokens", "contexttokens", "context_tokens", "input_tokens", "input_length"),
    "generated_tokens": (
        "generated_tokens",
        "generatedtokens",
        "completion_tokens",
        "output_tokens",
        "output_length",
    ),
    "request_id": ("request_id", "requestid", "id"),
    "tenant": ("tenant", "tenant_id", "customer"),
    "endpoint": ("endpoint", "route", "path"),
    "service": ("service", "service_line"),
    "outcome": ("outcome",),
    "retry_of": ("retry_of",),
    "model": ("model", "model_name"),
    "end": ("end", "end_utc", "end_time", "completed_at", "finished_at"),
}
"""What each of our columns may be called; upper and lower case are one."""

NEEDED = ("arrival", "prompt_tokens", "generated_tokens")
OFFSET = r":\d\d\S*(Z|z|[+-]\d\d(:?\d\d)?)\s*$"
"""How a time of day with its offset ends; a date alone has neither."""

_EARLIEST_US, _LATEST_US = (
    int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000 for year in (EARLIEST_YEAR + 1, LATEST_YEAR)
)
MOST_TOKENS = 10_000_000
BATCH_ROWS = 262_144
MEMORY = "600MB"


@dataclass(frozen=True, slots=True)
class RequestLog:
    """A checked log.

    Attributes
    ----------
    path : Path
    sha256 : str
        Of the file's bytes.
    n_requests : int
    first_utc, last_utc : datetime
        First and last arrival, after the shift.
    shift_s : float
        By how much every time was moved to align the log. [s]
    columns : mapping of str to str
        Our name to the log's own, for the columns it has.
    model : str or None
        The one model that the log names; None where it names none.
    """

    path: Path
    sha256: str
    n_requests: int
    first_utc: datetime
    last_utc: datetime
    shift_s: float
    columns: Mapping[str, str]
    model: str | None = None

    def batches(self) -> Iterator[RequestBatch]:
        """Give the requests in order of arrival, a batch at a time; `row` counts the file's rows from 1, a header included."""
        words = [name for name in WORDS if name in self.columns]
        shift_us = round(self.shift_s * 1e6)
        n_header = _n_header(self.path)
        fields = [
            f"row_number() OVER () + {n_header} AS row",
            f"{_epoch_us(self.columns['arrival'])} + {shift_us} AS arrival_us",
            *(
                f"CAST({_quoted(self.columns[name])} AS INTEGER) AS {name}"
                for name in ("prompt_tokens", "generated_tokens")
            ),
            *([f"{_epoch_us(self.columns['end'])} + {shift_us} AS end_us"] if "end" in self.columns else []),
            *(f"{_word(name, self.columns[name])} AS {name}" for name in words),
        ]
        with _connection() as connection:
            _open_view(connection, self.path)
            sorted_rows = connection.sql(f"SELECT {', '.join(fields)} FROM log ORDER BY arrival_us, row")
            for batch in sorted_rows.to_arrow_reader(BATCH_ROWS):
                if batch.num_rows:
                    yield _batch(batch, words)


def read_log(path: Path, align_to_utc: datetime | None = None) -> RequestLog:
    """Check a request log and find its extent.

    Parameters
    ----------
    path : Path
        Parquet, CSV (optionally gzipped) or JSON lines.
    align_to_utc : datetime, optional
        Where the first arrival is to fall; then times without an offset are allowed, for only differences count.

    Raises
    ------
    InputError
        If the file is not there, has another format or holds no request.
    TableError
        If a column is missing, a cell is bad or an id stands twice; names the row and the column.
    TimeError
        If times carry no offset and nothing aligns them.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; give a request log in Parquet, CSV or JSON lines")
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a request log in Parquet, CSV or JSON lines")
    with _connection() as connection:
        try:
            kinds = _open_view(connection, path)
            columns = _columns(kinds, path)
            _check_times(connection, kinds, columns, path, aligned=align_to_utc is not None)
            _check_tokens(connection, kinds, columns, path)
            _check_ids(connection, columns, path)
            _check_outcomes(connection, columns, path)
            model = _one_model(connection, columns, path)
            arrival = _epoch_us(columns["arrival"])
            row = connection.execute(f"SELECT count(*), min({arrival}), max({arrival}) FROM log").fetchone()
        except duckdb.Error as error:
            raise _unreadable(path, error) from None
    assert row is not None
    n, first_us, last_us = row
    if not n:
        raise InputError(f"{path} holds no requests; nothing to price")
    first, last = (
        datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us) for us in (first_us, last_us)
    )
    shift = align_to_utc - first if align_to_utc else timedelta(0)
    return RequestLog(
        path, file_sha256(path), n, first + shift, last + shift, shift.total_seconds(), columns, model
    )


def is_unchanged(path: Path, sha256: str) -> bool:
    """Say whether a log is still there with the bytes that were priced."""
    return path.is_file() and file_sha256(path) == sha256


def log_cells(path: Path, sha256: str, row: int, columns: Mapping[str, str]) -> dict[str, str]:
    """Give the cells of one row as text, or nothing where the file is gone or has changed."""
    if not is_unchanged(path, sha256):
        return {}
    names = [columns[name] for name in columns]
    with _connection() as connection:
        _open_view(connection, path)
        texts = ", ".join(f"CAST({_quoted(name)} AS VARCHAR)" for name in names)
        found = connection.execute(
            f"SELECT {texts} FROM (SELECT *, row_number() OVER () + {_n_header(path)} AS _row FROM log) WHERE _row = ?",
            [row],
        ).fetchone()
    return dict(zip(names, found, strict=True)) if found else {}


def _connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(
        config={
            "memory_limit": MEMORY,
            "temp_directory": tempfile.gettempdir(),
            "preserve_insertion_order": True,
            "threads": 2,
        }
    )


def _kind(path: Path) -> str:
    """Give a log's last ending that is not a compression, in lower case."""
    return next((s.lower() for s in reversed(path.suffixes) if s.lower() != ".gz"), "")


_TEXT_TABLES = (".csv", ".tsv", ".txt")


def _n_header(path: Path) -> int:
    """Give how many rows of the file stand before the first request."""
    return 1 if _kind(path) in _TEXT_TABLES else 0


def _open_view(connection: duckdb.DuckDBPyConnection, path: Path) -> dict[str, str]:
    """Name the file `log`; give its columns and their types."""
    connection.execute("SET TimeZone = 'UTC'")
    kind = _kind(path)
    where = str(path).replace("'", "''")
    # DuckDB reads file patterns; a name with such signs in it must stand for itself.
    for sign in "[*?":
        where = where.replace(sign, f"[{sign}]")
    if kind in (".parquet", ".pq"):
        reader = f"read_parquet('{where}')"
    elif kind in _TEXT_TABLES:
        # Text throughout: a reader that guesses types would take a time without an offset for UTC.
        delimiter, names = _header(path)
        columns = ", ".join(f"{_quoted(name)}: 'VARCHAR'" for name in names)
        reader = (
            f"read_csv('{where}', auto_detect = false, header = true, delim = '{delimiter}', quote = '\"', escape = '\"',"
            f" columns = {{{columns}}}, null_padding = false, strict_mode = true)"
        )
    elif kind in (".jsonl", ".ndjson", ".json"):
        source = f"'{where}', format = 'newline_delimited'"
        reader = f"read_json({source}, columns = {{{_json_columns(connection, source, path)}}})"
    else:
        raise InputError(
            f"{path.name}: what {kind or 'a file without an ending'} holds is not known; use .parquet, .csv or .jsonl"
        )
    try:
        connection.execute(f"CREATE TEMP VIEW log AS SELECT * FROM {reader}")
        described = connection.execute("DESCRIBE log").fetchall()
    except duckdb.Error as error:
        raise _unreadable(path, error) from None
    return {name: kind for name, kind, *_ in described}


def _header(path: Path) -> tuple[str, list[str]]:
    """Give what separates the names in the first line, and the names."""
    try:
        with gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb") as file:
            first = file.readline(65_536).decode("utf-8-sig", "replace")
    except (OSError, EOFError, zlib.error) as error:
        raise TableError(
            f"{path.name} cannot be read: {error}; it may be cut short, write it again"
        ) from None
    delimiter = max((",", "\t", ";", "|"), key=first.count)
    try:
        names = [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]
    except csv.Error as error:
        raise TableError(f"{path.name} is no table of text ({error}); write it again") from None
    if not names:
        raise TableError(f"{path.name} is empty; write a header and at least one request")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise TableError(f"{path.name}, row 1: the column {twice!r} stands twice; rename one")
    return delimiter, names


def _json_columns(connection: duckdb.DuckDBPyConnection, source: str, path: Path) -> str:
    try:
        described = connection.execute(
            f"DESCRIBE SELECT * FROM read_json({source}, sample_size = 20480)"
        ).fetchall()
    except duckdb.Error as error:
        raise _unreadable(path, error) from None
    return ", ".join(f"{_quoted(name)}: 'VARCHAR'" for name, *_ in described)


def _columns(kinds: Mapping[str, str], path: Path) -> dict[str, str]:
    folded = {name.casefold(): name for name in kinds}
    found = {}
    for ours, theirs in NAMES.items():
        match = next((folded[name] for name in theirs if name in folded), None)
        if match is not None:
            found[ours] = match
    for ours in NEEDED:
        if ours not in found:
            raise TableError(
                f"{path.name}: no column for {ours} (one of {', '.join(NAMES[ours])}); found {', '.join(kinds)}; rename the column"
            )
    return found


def _check_times(
    connection: duckdb.DuckDBPyConnection,
    kinds: Mapping[str, str],
    columns: Mapping[str, str],
    path: Path,
    *,
    aligned: bool,
) -> None:
    for ours in ("arrival", "end"):
        if ours not in columns:
            continue
        name = columns[ours]
        kind = kinds[name]
        if kind.startswith("TIMESTAMP") or kind == "VARCHAR":
            bad = _first_row(connection, path, f"{_epoch_us(name)} IS NULL", name)
            if bad:
                raise TableError(
                    f"{path.name}, row {bad[0]}, column {name}: {_said(bad[1])} is not a time; correct the cell"
                )
        else:
            raise TableError(
                f"{path.name}, column {name}: {kind} is not a time; write ISO 8601 with an offset"
            )
        if aligned:
            continue
        naive = None
        if kind == "VARCHAR":
            naive = _first_row(connection, path, f"NOT regexp_matches({_quoted(name)}, '{OFFSET}')", name)
        elif "TIME ZONE" not in kind and "TIMESTAMPTZ" not in kind:
            naive = _first_row(connection, path, "TRUE", name)
        if naive:
            raise TimeError(
                f"{path.name}, row {naive[0]}, column {name}: {naive[1]!r} has no UTC offset (C1); write offsets into the log, or give"
                " `align_to` with the moment at which the first request is to arrive"
            )
    for ours in ("arrival", "end"):
        if ours in columns:
            moment = _epoch_us(columns[ours])
            bad = _first_row(
                connection, path, f"{moment} < {_EARLIEST_US} OR {moment} >= {_LATEST_US}", columns[ours]
            )
            if bad:
                raise TableError(
                    f"{path.name}, row {bad[0]}, column {columns[ours]}: {bad[1]!r} lies outside the years"
                    f" {EARLIEST_YEAR + 1} to {LATEST_YEAR - 1}; correct the cell"
                )
    if "end" in columns:
        bad = _first_row(
            connection, path, f"{_epoch_us(columns['end'])} < {_epoch_us(columns['arrival'])}", columns["end"]
        )
        if bad:
            raise TableError(
                f"{path.name}, row {bad[0]}, column {columns['end']}: ends before it arrives; correct the row"
            )


def _check_tokens(
    connection: duckdb.DuckDBPyConnection, kinds: Mapping[str, str], columns: Mapping[str, str], path: Path
) -> None:
    for ours in ("prompt_tokens", "generated_tokens"):
        name = columns[ours]
        # By way of text where it may be NaN: Parquet's statistics know no NaN, and would skip the rows that hold one.
        text = f"CAST({_quoted(name)} AS VARCHAR)" if kinds[name] in ("FLOAT", "DOUBLE") else _quoted(name)
        number = f"TRY_CAST({text} AS DOUBLE)"
        bad = _first_row(
            connection,
            path,
            f"{number} IS NULL OR isnan({number}) OR {number} < 0 OR {number} > {MOST_TOKENS} OR {number} <> floor({number})",
            name,
        )
        if bad:
            raise TableError(
                f"{path.name}, row {bad[0]}, column {name}: {_said(bad[1])} is not a count of tokens (a whole number from 0 to"
                f" {MOST_TOKENS:,}); correct the cell"
            )


def _check_ids(connection: duckdb.DuckDBPyConnection, columns: Mapping[str, str], path: Path) -> None:
    if "request_id" not in columns:
        return
    name = columns["request_id"]
    bad = _first_row(connection, path, f"{_quoted(name)} IS NULL", name)
    if bad:
        raise TableError(f"{path.name}, row {bad[0]}, column {name}: no id; give each request its own")
    twice = connection.execute(
        f"SELECT CAST({_quoted(name)} AS VARCHAR), count(*) FROM log GROUP BY {_quoted(name)} HAVING count(*) > 1 LIMIT 1"
    ).fetchone()
    if twice:
        rows = connection.execute(
            f"SELECT _row FROM (SELECT {_quoted(name)} AS _id, row_number() OVER () + {_n_header(path)} AS _row FROM log)"
            " WHERE CAST(_id AS VARCHAR) = ? ORDER BY _row LIMIT 2",
            [twice[0]],
        ).fetchall()
        raise TableError(
            f"{path.name}, rows {rows[0][0]} and {rows[1][0]}, column {name}: the id {twice[0]!r} stands twice; give each"
            " request its own, or remove one"
        )


def _check_outcomes(connection: duckdb.DuckDBPyConnection, columns: Mapping[str, str], path: Path) -> None:
    if "outcome" in columns:
        name = columns["outcome"]
        known = ", ".join(f"'{word}'" for word in OUTCOMES)
        bad = _first_row(connection, path, f"{_word('outcome', name)} NOT IN ({known})", name)
        if bad:
            raise TableError(
                f"{path.name}, row {bad[0]}, column {name}: {bad[1]!r} is no outcome; write one of {', '.join(OUTCOMES)}, or"
                " leave the cell empty where it is not known"
            )
    if "retry_of" in columns and "request_id" in columns:
        name, own = columns["retry_of"], _word("request_id", columns["request_id"])
        bad = _first_row(connection, path, f"{_word('retry_of', name)} = {own}", name)
        if bad:
            raise TableError(
                f"{path.name}, row {bad[0]}, column {name}: the request {bad[1]!r} repeats itself; name the one before it"
            )


def _word(ours: str, theirs: str) -> str:
    """Give a text cell as it travels along: an empty outcome is not known, and the words for it are of one case."""
    text = f"CAST({_quoted(theirs)} AS VARCHAR)"
    if ours == "outcome":
        return f"nullif(replace(lower(trim({text})), 'canceled', 'cancelled'), '')"
    return f"nullif(trim({text}), '')" if ours == "retry_of" else text


def _one_model(connection: duckdb.DuckDBPyConnection, columns: Mapping[str, str], path: Path) -> str | None:
    """Give the model that every row names, or None; each model runs on devices of its own, so two are refused."""
    if "model" not in columns:
        return None
    name = columns["model"]
    found = connection.execute(
        f"SELECT CAST({_quoted(name)} AS VARCHAR) AS model, min(_row) FROM"
        f" (SELECT *, row_number() OVER () + {_n_header(path)} AS _row FROM log) GROUP BY 1 ORDER BY 2 LIMIT 2"
    ).fetchall()
    if len(found) > 1:
        (first, first_row), (second, second_row) = found
        raise TableError(
            f"{path.name}, column {name}: row {first_row} says {first!r}, row {second_row} says {second!r}; one model runs"
            " on one set of devices, so split the log by model and price each part with its `model`"
        )
    return None if not found or found[0][0] is None else str(found[0][0])


def _first_row(
    connection: duckdb.DuckDBPyConnection, path: Path, condition: str, name: str
) -> tuple[int, Any] | None:
    if not connection.execute(f"SELECT 1 FROM log WHERE {condition} LIMIT 1").fetchone():
        return None
    n_header = _n_header(path)
    found = connection.execute(
        f"SELECT _row, CAST({_quoted(name)} AS VARCHAR) FROM (SELECT *, row_number() OVER () + {n_header} AS _row FROM log)"
        f" WHERE {condition} ORDER BY _row LIMIT 1"
    ).fetchone()
    return None if found is None else (found[0], found[1])


def _said(value: Any) -> str:
    return "an empty cell" if value is None else repr(value)


def _epoch_us(name: str) -> str:
    return f"epoch_us(TRY_CAST({_quoted(name)} AS TIMESTAMPTZ))"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _batch(batch: pa.RecordBatch, words: list[str]) -> RequestBatch:
    def numbers(name: str) -> np.ndarray[Any, Any]:
        return np.asarray(batch.column(name).to_numpy(zero_copy_only=False))

    return RequestBatch(
        row=numbers("row").astype(np.int64),
        arrival_us=numbers("arrival_us").astype(np.int64),
        prompt_tokens=numbers("prompt_tokens").astype(np.int32),
        generated_tokens=numbers("generated_tokens").astype(np.int32),
        end_us=numbers("end_us").astype(np.int64) if "end_us" in batch.schema.names else None,
        words={name: batch.column(name) for name in words},
    )


def _unreadable(path: Path, error: duckdb.Error) -> TableError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = next((text for text in lines if text.lower().startswith("csv error on line")), "")
    what = " ".join(itertools.islice(filter(None, (line, lines[0] if lines else "")), 2))
    return TableError(f"{path.name} cannot be read: {what[:300]}; it may be cut short, write it again")


def file_sha256(path: Path) -> str:
    """Give the hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
