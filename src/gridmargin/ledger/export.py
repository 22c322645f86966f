"""Take the book out of its database: one file of rows and a signed manifest, checked without us (`audit`).

Every row has its place in the log. A file that holds only a part of it comes with the hashes of the rest, so that the same
root follows from both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from gridmargin.ledger.book import Book
from gridmargin.ledger.merkle import left_out, stretches
from gridmargin.ledger.notes import TreeHead
from gridmargin.ledger.records import CHANGES, KINDS, changes_text
from gridmargin.ledger.retirements import Stretches, is_covered
from gridmargin.ledger.rows import stored_name
from gridmargin.ledger.witness import cosigned
from gridmargin.vocab import InputError, Interval, Kind, TableError, canonical_json, format_utc, sha256_hex

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = "gridmargin-ledger-export-1"
CHUNK = 50_000
"""Leaves read at once."""

FACTORS = ("low_gco2_per_kwh", "mid_gco2_per_kwh", "high_gco2_per_kwh")
_SHARED: Mapping[str, Any] = {
    "zone": pl.String, "start_s": pl.Int64, "interval_s": pl.Int64, "estimator": pl.String,
    "estimator_version": pl.String, "horizon": pl.String, "gases": pl.String, "boundary": pl.String, "view": pl.String,
    "sources": pl.String, "conditions": pl.String, "regime": pl.String, "status": pl.String, "fit_id": pl.String,
    "payload_sha256s": pl.String, "entry_sha256": pl.String, "supersedes": pl.Int64, "issued_us": pl.Int64,
    "recalibration_id": pl.Int64, "source": pl.String,
}  # fmt: skip
SCHEMA: Mapping[str, Any] = {
    "leaf_index": pl.Int64, "kind": pl.String, "record_id": pl.Int64, "recorded_us": pl.Int64,
    **{stored_name(name, kind): pl.Float64 for kind in Kind for name in FACTORS},
    **_SHARED,
    "record": pl.String,
}  # fmt: skip
"""Columns of an export. Marginal and average factors stand in columns of their own (C3); `record` holds the text of
what is no entry: recalibrations, declarations, retirements, payloads, corrections and restorations. Times: `start_s` [s since 1970 UTC], `recorded_us`, `issued_us` [µs]."""

FORMATS = (".parquet", ".csv", ".json")


def manifest_of(path: Path) -> Path:
    """Name the manifest that belongs to an export."""
    return path.with_name(path.name + ".manifest.json")


@dataclass(frozen=True, slots=True)
class Asked:
    """Which part of the book is taken out; everything where all is absent.

    Attributes
    ----------
    zone : str or None
        Only entries of this zone.
    interval : Interval or None
        Only entries whose interval begins in it.
    """

    zone: str | None = None
    interval: Interval | None = None

    @property
    def whole(self) -> bool:
        """Whether that is the whole book, recalibrations, declarations and retirements too."""
        return self.zone is None and self.interval is None

    def answer(self) -> dict[str, str | None]:
        """Give it for the manifest."""
        return {
            "zone": self.zone,
            "start_utc": format_utc(self.interval.start_utc) if self.interval else None,
            "end_utc": format_utc(self.interval.end_utc) if self.interval else None,
        }


def export(
    book: Book,
    path: Path,
    asked: Asked,
    made_utc: datetime,
    *,
    salvage: bool = False,
    seen_size: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Write rows and manifest; give the manifest.

    Parameters
    ----------
    path : Path
        Ends in one of `FORMATS`; neither it nor its manifest may be there yet.
    salvage : bool
        Take what can still be read from a damaged database, under the last head that was signed; what is lost is missing
        from the rows, and the manifest's `lost` names the leaves.
    seen_size : int, optional
        How many leaves the auditor has seen: the manifest then proves that the log still begins with them.
    progress : callable, optional
        Told how many leaves were read more.

    Raises
    ------
    InputError
        If the ending is not known, a file is in the way, or nothing was found.
    NotFoundError
        If the log never had `seen_size` leaves.
    """
    if path.suffix not in FORMATS:
        raise InputError(f"cannot write {path.name}; name a file that ends in {', '.join(FORMATS)}")
    manifest_path = manifest_of(path)
    for there in (path, manifest_path):
        if there.exists():
            raise InputError(f"{there} is there already; give another `out`, or move it away")
    if not path.parent.is_dir():
        raise InputError(f"no folder {path.parent} to write {path.name} into; make it, or give another `out`")
    note = _last_head(book) if salvage else book.head()
    head = TreeHead.read(note)
    consistency = _consistency(book, seen_size, head.tree_size)
    retired = _retired(book) if salvage else []
    indices: list[int] = []
    lost: list[int] = []
    part = path.with_name(path.name + ".part")
    try:
        with _writer(path.suffix, part) as write:
            for lo in range(0, head.tree_size, CHUNK):
                hi = min(lo + CHUNK, head.tree_size)
                rows = (
                    _salvaged(book, asked, lo, hi, lost, retired) if salvage else _rows(book, asked, lo, hi)
                )
                if rows.height:
                    write(rows)
                    indices += rows["leaf_index"].to_list()
                if progress is not None:
                    progress(hi - lo)
        if not indices:
            raise InputError(
                f"nothing to export: the ledger {book.name} has no such entries; ask for another zone or time"
            )
        kept = stretches(indices)
        body = {
            "format": FORMAT,
            "file": path.name,
            "sha256": file_sha256(part),
            "n_rows": len(indices),
            "asked": asked.answer(),
            "leaves": [list(stretch) for stretch in kept],
            "rest": _rest(book, head.tree_size, kept, salvage=salvage),
            "head": note,
            "lost": [list(stretch) for stretch in stretches(sorted(lost))],
            "earlier_heads": [n for n in book.log.heads() if n != note]
            if len(indices) == head.tree_size
            else [],
            "consistency": consistency,
            "cosigned": [] if salvage else _cosigned(book, head.tree_size),
            "made_utc": format_utc(made_utc),
            "gridmargin": version("gridmargin"),
        }
        assert book.signer is not None
        signature = book.signer.sign(manifest_text(body))
        manifest_path.write_text(
            json.dumps({**body, "signature": signature}, indent=1, ensure_ascii=False) + "\n", "utf-8"
        )
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        manifest_path.unlink(missing_ok=True)
        raise
    return {**body, "signature": signature}


def _consistency(book: Book, seen_size: int | None, size: int) -> dict[str, Any] | None:
    """Prove that the log of `size` leaves begins with those that somebody saw."""
    if seen_size is None:
        return None
    path = book.log.consistency(seen_size, size)
    return {"tree_size": seen_size, "path": [step.hex() for step in path]}


def _cosigned(book: Book, size: int) -> list[dict[str, Any]]:
    """Give the newest head that each witness cosigned, and the proof that the log of `size` leaves begins with it."""
    return [
        {
            "note": note,
            "path": [step.hex() for step in book.log.consistency(TreeHead.read(note).tree_size, size)],
        }
        for note in cosigned(book.connection, size)
    ]


def _rest(
    book: Book, size: int, kept: Sequence[tuple[int, int]], *, salvage: bool
) -> list[tuple[int, int, str]]:
    """Give the hashes of the subtrees that hold none of the rows; one that cannot be read any more is left out."""
    rest: list[tuple[int, int, str]] = []
    for lo, hi in left_out(size, kept):
        try:
            rest.append((lo, hi, book.log.subtree(lo, hi).hex()))
        except (book.connection.DatabaseError, TableError):
            if not salvage:
                raise
    return rest


def _last_head(book: Book) -> str:
    try:
        heads = book.log.heads()
    except book.connection.DatabaseError as error:
        raise InputError(
            f"the ledger {book.name} is too damaged to say what it had signed ({error}); restore a copy of the file"
        ) from None
    if not heads:
        raise InputError(f"the ledger {book.name} was never signed; export it without `salvage`")
    return heads[-1]


def _retired(book: Book) -> Stretches:
    """Give the leaves whose entries were retired, as far as that can still be read."""
    try:
        return sorted(stretch for one in book.retirements(standing=True) for stretch in one.leaves)
    except (book.connection.DatabaseError, TableError):
        return []


def _salvaged(
    book: Book, asked: Asked, lo: int, hi: int, lost: list[int], retired: Stretches
) -> pl.DataFrame:
    """Give the rows of leaves that can be read; halve the stretch until what cannot be read stands alone."""
    try:
        rows = _rows(book, asked, lo, hi)
    except book.connection.DatabaseError:
        if hi - lo == 1:
            lost.append(lo)
            return pl.DataFrame(schema=dict(SCHEMA))
        middle = (lo + hi) // 2
        return pl.concat(
            [
                _salvaged(book, asked, lo, middle, lost, retired),
                _salvaged(book, asked, middle, hi, lost, retired),
            ]
        )
    if asked.whole:
        missing = sorted(set(range(lo, hi)) - set(rows["leaf_index"].to_list()))
        lost += [index for index in missing if not is_covered(index, retired)]
    return rows


def file_sha256(path: Path) -> str:
    """Hash a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def manifest_text(body: Mapping[str, Any]) -> str:
    """Give the words of a manifest that are signed: what it is, and the hash of its canonical JSON."""
    return f"{FORMAT}\n{sha256_hex(canonical_json(dict(body)).encode())}\n"


def _rows(book: Book, asked: Asked, lo: int, hi: int) -> pl.DataFrame:
    """Give the rows of leaves `lo` to `hi`, the last one outside, in their order."""
    frames = [_entries(book, kind, asked, lo, hi) for kind in Kind]
    if asked.whole:
        frames += [_changes(book, kind, lo, hi) for kind in CHANGES]
    return pl.concat(frames).sort("leaf_index")


def _entries(book: Book, kind: Kind, asked: Asked, lo: int, hi: int) -> pl.DataFrame:
    columns = {name: dtype for name, dtype in SCHEMA.items() if name in _SHARED}
    factors = [stored_name(name, kind) for name in FACTORS]
    start = asked.interval
    rows = _all(book,
        f"SELECT l.leaf_index, l.kind, l.record_id, e.recorded_us, {', '.join('e.' + c for c in [*factors, *columns])}"
        f" FROM log_leaves l JOIN {KINDS[kind.value][0]} e ON e.entry_id = l.record_id"
        " WHERE l.leaf_index >= ? AND l.leaf_index < ? AND l.kind = ?"
        " AND e.zone = coalesce(?, e.zone) AND e.start_s >= ? AND e.start_s < ?",
        (lo, hi, kind.value, asked.zone,
         -(2**62) if start is None else int(start.start_utc.timestamp()),
         2**62 if start is None else int(start.end_utc.timestamp())),
    )  # fmt: skip
    names = ["leaf_index", "kind", "record_id", "recorded_us", *factors, *columns]
    return _framed(pl.DataFrame(rows, schema={n: SCHEMA[n] for n in names}, orient="row"))


def _changes(book: Book, kind: str, lo: int, hi: int) -> pl.DataFrame:
    leaves = dict(
        _all(
            book,
            "SELECT record_id, leaf_index FROM log_leaves WHERE leaf_index >= ? AND leaf_index < ? AND kind = ?",
            (lo, hi, kind),
        )
    )
    key = KINDS[kind][1]
    within = (
        f"{key} IN (SELECT record_id FROM log_leaves WHERE leaf_index >= ? AND leaf_index < ? AND kind = ?)"
    )
    found = changes_text(book.connection, kind, within, (lo, hi, kind)) if leaves else []
    rows = [(leaves[i], kind, i, us, text) for i, us, text in found]
    names = ["leaf_index", "kind", "record_id", "recorded_us", "record"]
    return _framed(pl.DataFrame(rows, schema={n: SCHEMA[n] for n in names}, orient="row"))


def _all(book: Book, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    return book.connection.execute(sql, values).fetchall()


def _framed(frame: pl.DataFrame) -> pl.DataFrame:
    """Give a frame all columns of an export; what a kind of record lacks is absent."""
    return frame.select(
        pl.col(name) if name in frame.columns else pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in SCHEMA.items()
    )


def _arrow(frame: pl.DataFrame) -> pa.Table:
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


@contextmanager
def _writer(suffix: str, path: Path) -> Iterator[Callable[[pl.DataFrame], None]]:
    """Give what appends a frame to a file of a kind."""
    if suffix == ".parquet":
        import pyarrow.parquet as pq

        with pq.ParquetWriter(
            path, _arrow(pl.DataFrame(schema=SCHEMA)).schema, compression="zstd"
        ) as parquet:
            yield lambda frame: parquet.write_table(_arrow(frame))
        return
    with path.open("wb") as file:
        if suffix == ".csv":
            file.write((",".join(SCHEMA) + "\n").encode())

            def write_csv(frame: pl.DataFrame) -> None:
                file.write(frame.write_csv(include_header=False).encode())

            yield write_csv
            return
        n_written = 0

        def write(frame: pl.DataFrame) -> None:
            nonlocal n_written
            lines = frame.write_ndjson().rstrip("\n").split("\n")
            file.write(((",\n" if n_written else "[\n") + ",\n".join(lines)).encode())
            n_written += len(lines)

        yield write
        file.write(b"\n]\n" if n_written else b"[]\n")
