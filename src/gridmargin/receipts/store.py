"""Receipts on disk: Parquet by day and zone; writers never share a file."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gridmargin.attribution import ENERGY_PARTS
from gridmargin.receipts.price import range_of
from gridmargin.receipts.receipt import CAUSES, RECEIPT_SCHEMA, Receipt, Slice
from gridmargin.receipts.rollup import RECEIPTS, committed_files
from gridmargin.vocab import InputError, NotFoundError, Status, is_disk_full


class ReceiptWriter:
    """Writes one run's receipts; nothing is visible before `commit`, nothing is left after an error.

    Parameters
    ----------
    folder : Path
        Data folder; files go to `receipts/day=YYYY-MM-DD/zone=ZONE/RUN.parquet`.
    run_id : str
        The run; writing it again replaces it whole.
    """

    def __init__(self, folder: Path, run_id: str) -> None:
        self.folder = folder
        self.run_id = run_id
        self._staging = folder / f".part-{run_id}"
        self._writers: dict[tuple[date, str], pq.ParquetWriter] = {}

    def __enter__(self) -> ReceiptWriter:
        try:
            shutil.rmtree(self._staging, ignore_errors=True)
            self._staging.mkdir(parents=True)
        except OSError as error:
            if is_disk_full(error):
                raise
            raise InputError(
                f"cannot write receipts under {self.folder}: {error.strerror}; give another `out`"
            ) from error
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            for writer in self._writers.values():
                writer.close()
        except OSError:
            if kind is None:
                raise
        finally:  # a disk that is full takes no footer either
            shutil.rmtree(self._staging, ignore_errors=True)

    def write(self, receipts: pa.Table, zone: str) -> None:
        """Add receipts of one zone, in any order of days."""
        days = pc.cast(receipts["start_utc"], pa.date32())
        for day in pc.unique(days).to_pylist():
            part = receipts.filter(pc.equal(days, pa.scalar(day, pa.date32())))
            self._writer(day, zone).write_table(part, row_group_size=131_072)

    def commit(self, manifest: Mapping[str, Any]) -> None:
        """Put every file in its place, then the run's manifest; without one, readers see none of the run."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()
        placed = set()
        for part in sorted(self._staging.rglob("*.parquet")):
            final = self.folder / "receipts" / part.relative_to(self._staging)
            final.parent.mkdir(parents=True, exist_ok=True)
            _sync(part)
            part.replace(final)
            placed.add(final)
        write_json(self.folder / "runs" / f"{self.run_id}.json", manifest)
        for old in self.folder.glob(f"receipts/*/*/{self.run_id}.parquet"):
            if old not in placed:
                old.unlink()

    def _writer(self, day: date, zone: str) -> pq.ParquetWriter:
        key = (day, zone)
        if key not in self._writers:
            path = self._staging / f"day={day.isoformat()}" / f"zone={zone}" / f"{self.run_id}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writers[key] = pq.ParquetWriter(
                path, RECEIPT_SCHEMA, compression="zstd", compression_level=1
            )
        return self._writers[key]


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON so that a reader sees the old file or the new one, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".part-{path.name}")
    try:
        part.write_text(
            json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
        )
        _sync(part)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def read_run(folder: Path, run_id: str) -> dict[str, Any]:
    """Give the manifest of a run.

    Raises
    ------
    NotFoundError
        If the folder holds no such run.
    """
    path = folder / "runs" / f"{run_id}.json"
    if not path.exists():
        raise NotFoundError(f"no run {run_id} under {folder}")
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return manifest


def find_receipt(folder: Path, receipt_id: str) -> Receipt:
    """Give one receipt by its id.

    Raises
    ------
    NotFoundError
        If the folder does not hold it.
    """
    run_id, dash, row = receipt_id.rpartition("-")
    files = committed_files(folder, run_id) if dash and run_id.isalnum() else []
    if files and row.isascii() and row.isdecimal() and len(row) <= 18:
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            found = connection.sql(
                f"SELECT * FROM {RECEIPTS} WHERE log_row = ?",
                params=[[str(f) for f in files], int(row)],
            ).to_arrow_table()
        if found.num_rows:
            return next(_records(found))
    raise NotFoundError(
        f"no receipt {receipt_id} under {folder}; check the id, or give the folder with `out` or `data_dir`"
    )


def latest_receipts(folder: Path, limit: int, before: tuple[datetime, str] | None = None) -> list[Receipt]:
    """Give the newest receipts by end time, newest first.

    Parameters
    ----------
    before : pair of datetime and str, optional
        End and id of the last receipt already seen; only older ones are given.
    """
    found: list[Receipt] = []
    # Newest day first: a page of receipts need not read the years before it.
    full = False
    for _, files in reversed(_by_day(folder)):
        found += _latest_of(files, limit, before)
        if full:
            break
        full = len(found) >= limit  # one day more, whose last requests may have ended after midnight
    return sorted(found, key=lambda r: (r.end_utc, r.receipt_id), reverse=True)[:limit]


def _by_day(folder: Path) -> list[tuple[str, list[Path]]]:
    days: dict[str, list[Path]] = {}
    for path in committed_files(folder):
        days.setdefault(path.parent.parent.name, []).append(path)
    return sorted(days.items())


def _latest_of(files: list[Path], limit: int, before: tuple[datetime, str] | None) -> list[Receipt]:
    where = " WHERE (end_utc, receipt_id) < (?, ?)" if before else ""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.sql(
            f"SELECT * FROM {RECEIPTS}{where} ORDER BY end_utc DESC, receipt_id DESC LIMIT ?",
            params=[[str(f) for f in files], *(before or ()), limit],
        ).to_arrow_table()
    return list(_records(found))


def records(table: pa.Table) -> list[Receipt]:
    """Give the rows of a receipt table as records."""
    return list(_records(table))


def _records(table: pa.Table) -> Iterator[Receipt]:
    for row in table.to_pylist():
        halves = {
            kind: {f"{c}_{s}": row[f"{kind}_{c}_{s}_gco2"] for c in CAUSES for s in ("low", "high")}
            for kind in ("marginal", "average")
        }
        spread = {
            c: halves["marginal"][f"{c}_low"] ** 2 + halves["marginal"][f"{c}_high"] ** 2 for c in CAUSES
        }
        whole = sum(spread.values())
        yield Receipt(
            receipt_id=row["receipt_id"], request_id=row["request_id"], zone=row["zone"], device=row["device"],
            model=row["model"], tenant=row["tenant"], endpoint=row["endpoint"],
            service=row["service"], outcome=row["outcome"], retry_of=row["retry_of"],
            arrival_utc=row["arrival_utc"], start_utc=row["start_utc"], first_token_utc=row["first_token_utc"],
            end_utc=row["end_utc"], latency_s=row["latency_s"], prompt_tokens=row["prompt_tokens"],
            generated_tokens=row["generated_tokens"],
            work_units=row["work_units"],
            energy_j={part: row[f"{part}_j"] for part in ENERGY_PARTS if row[f"{part}_j"] is not None},
            charged_energy_j=row["charged_energy_j"], marginal_energy_j=row["marginal_energy_j"],
            plug_energy_j=row["plug_energy_j"],
            energy_cost_usd=row["energy_cost_usd"],
            marginal_gco2=range_of(row["marginal_gco2"], halves["marginal"]),
            average_gco2=None if row["average_gco2"] is None else range_of(row["average_gco2"], halves["average"]),
            variance_frac={c: v / whole if whole else 0.0 for c, v in spread.items()},
            slices=tuple(
                Slice(
                    start_utc=datetime.fromtimestamp(s["start_s"], UTC), energy_j=s["energy_j"],
                    plug_energy_j=s["plug_energy_j"], marginal_entry_id=s["marginal_entry_id"],
                    average_entry_id=s["average_entry_id"], marginal_gco2=s["marginal_gco2"],
                    average_gco2=s["average_gco2"],
                )
                for s in row["slices"]
            ),
            status=Status(row["status"]), factor_status=Status(row["factor_status"]), run_id=row["run_id"], log_row=row["log_row"],
            marginal_halves_gco2=halves["marginal"], average_halves_gco2=halves["average"], alignment=row.get("alignment"),
        )  # fmt: skip


def receipt_table(
    columns: Mapping[str, Any], slices: Mapping[str, Any], first_slice: np.ndarray, n_slices: int
) -> pa.Table:
    """Build a receipt table from column arrays and slice arrays."""
    offsets = pa.array(np.append(first_slice, n_slices).astype(np.int32))
    struct = pa.StructArray.from_arrays(
        [
            pa.array(slices[field.name], field.type)
            for field in RECEIPT_SCHEMA.field("slices").type.value_type
        ],
        fields=list(RECEIPT_SCHEMA.field("slices").type.value_type),
    )
    arrays = []
    for field in RECEIPT_SCHEMA:
        if field.name == "slices":
            arrays.append(pa.ListArray.from_arrays(offsets, struct, type=field.type))
        else:
            value = columns[field.name]
            arrays.append(
                value if isinstance(value, pa.Array | pa.ChunkedArray) else pa.array(value, field.type)
            )
    return pa.Table.from_arrays(arrays, schema=RECEIPT_SCHEMA)
