"""Check an export with its manifest and a public key: no database, no network, none of our word for it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from gridmargin.ledger.book import Book
from gridmargin.ledger.export import FACTORS, FORMAT, SCHEMA, file_sha256, manifest_of, manifest_text
from gridmargin.ledger.merkle import EMPTY, Levels, leaf_hash, left_out, root_of_parts, stretches
from gridmargin.ledger.notes import PublicKey, SignatureError, TreeHead
from gridmargin.ledger.records import Written, leaf_data, records_after
from gridmargin.ledger.rows import HASHED, hashes, stored_name
from gridmargin.vocab import InputError, Kind, TableError, sha256_hex

MOST_NAMED = 20
"""Rows named one by one; of more, only how many."""


@dataclass(slots=True)
class Audit:
    """What was checked of an export, and what is wrong with it.

    Attributes
    ----------
    head : TreeHead
        The head that the export claims.
    n_rows : int
        Rows read.
    checked : list of str
        What held, for people.
    faults : list of str
        What did not; empty where the export is what was signed.
    """

    head: TreeHead
    n_rows: int = 0
    checked: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


def audit_export(path: Path, public: PublicKey, seen: TreeHead | None = None) -> Audit:
    """Check that the rows of a file are those that were signed.

    Parameters
    ----------
    path : Path
        The export; its manifest stands beside it.
    public : PublicKey
        Of the ledger, from somewhere else than the export.
    seen : TreeHead, optional
        A head that this ledger showed earlier: today's log must begin with it.

    Raises
    ------
    InputError
        If there is no such file or manifest, or they cannot be read at all.
    """
    manifest = _manifest(path)
    signature = str(manifest.pop("signature"))
    head = TreeHead.read(str(manifest["head"]))
    found = Audit(head)
    _check_signatures(found, manifest, signature, public)
    if file_sha256(path) != manifest["sha256"]:
        found.faults.append(f"{path.name} is not the file that was signed: its hash differs")
    leaves = _check_rows(found, path)
    _check_tree(found, manifest, leaves)
    if found.holds:
        found.checked.append(
            f"{found.n_rows} rows and the hashes of the rest give the signed root of {head.tree_size} leaves"
        )
    if n_lost := sum(int(hi) - int(lo) for lo, hi in manifest.get("lost", [])):
        found.checked.append(f"{n_lost} leaves could not be read when this was taken out of a damaged ledger")
    _check_earlier(found, manifest, leaves, public, seen)
    return found


def audit_book(book: Book, public: PublicKey | None) -> Audit:
    """Check the book in its database: every row against its own hash and its leaf, every leaf against the signed heads.

    Raises
    ------
    InputError
        If nothing was written yet.
    """
    size = len(book.log)
    if not size:
        raise InputError(f"the ledger {book.name} is empty; `gridmargin now ZONE` writes the first entries")
    signed = book.log.heads()
    found = Audit(TreeHead.read(signed[-1]) if signed else TreeHead("unsigned", size, EMPTY))
    found.faults += book.damage()
    for kind in Kind:
        for entry_ids, stated, said in book.hashed_anew(kind):
            altered = [i for i, a, b in zip(entry_ids, stated, said, strict=True) if a != b]
            found.faults += [
                f"{kind.value} entry {i} was altered: it does not have its own hash"
                for i in altered[:MOST_NAMED]
            ]
            found.n_rows += len(said)
    found.faults += book.log.faults(records_after(book.connection, {}), public)
    if found.holds:
        found.checked.append(
            f"{size} leaves belong to what stands in the book, and {len(signed)} signed heads to the leaves"
        )
    return found


def _manifest(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"no such export: {path}; give the file that `gridmargin ledger export` wrote")
    manifest_path = manifest_of(path)
    if not manifest_path.is_file():
        raise InputError(
            f"{path.name} has no manifest {manifest_path.name} beside it; fetch both, they go together"
        )
    try:
        body = json.loads(manifest_path.read_text("utf-8"))
        wanted = {"format", "sha256", "leaves", "rest", "head", "earlier_heads", "signature", "n_rows"}
        if not isinstance(body, dict) or not wanted <= body.keys() or body["format"] != FORMAT:
            raise ValueError(f"it is not a manifest of format {FORMAT}")
        [(int(lo), int(hi)) for lo, hi in body["leaves"]]
        {(int(lo), int(hi)): bytes.fromhex(digest) for lo, hi, digest in body["rest"]}
    except (ValueError, TypeError) as error:
        raise InputError(f"{manifest_path.name} cannot be read ({error}); fetch it again") from None
    return body


def _check_signatures(found: Audit, manifest: dict[str, Any], signature: str, public: PublicKey) -> None:
    try:
        if public.open(signature) != manifest_text(manifest):
            found.faults.append("the manifest is not the one that was signed: its words were changed")
        else:
            found.checked.append(f"the manifest is signed by {public.name}")
    except SignatureError as fault:
        found.faults.append(f"the manifest: {fault}")
    try:
        if public.open(str(manifest["head"])) != found.head.text() or found.head.origin != public.name:
            found.faults.append(f"the head is of another log than {public.name}")
        else:
            found.checked.append(f"the head of {found.head.tree_size} leaves is signed by {public.name}")
    except SignatureError as fault:
        found.faults.append(f"forged head: {fault}")


def _check_rows(found: Audit, path: Path) -> dict[int, bytes]:
    """Hash every row anew; give the leaves by their place."""
    columns = ("leaf_index", "kind", "record_id", "recorded_us", "supersedes", "recalibration_id")
    leaves: dict[int, bytes] = {}
    altered: list[str] = []
    disordered: list[str] = []
    last = -1
    for frame in _chunks(path):
        said = _said(frame)
        if unsealed := _unsealed(frame):
            found.faults.append(f"{unsealed} rows say something in a column that their kind does not have")
        stated, zones = frame["entry_sha256"].to_list(), frame["zone"].to_list()
        for at, (record, digest) in enumerate(zip(frame.select(columns).iter_rows(), said, strict=True)):
            index, kind, record_id, recorded_us, supersedes, recalibration_id = record
            row = found.n_rows + at + 1
            if index <= last:
                disordered.append(f"row {row}: leaf {index} stands behind leaf {last}: reordered")
            last = max(last, index)
            if stated[at] and stated[at] != digest:
                altered.append(
                    f"row {row}: {kind} entry {record_id} of {zones[at]} was altered: it does not have the hash"
                    " that stands beside it"
                )
            leaves[index] = leaf_hash(
                leaf_data(Written(kind, record_id, recorded_us, supersedes, recalibration_id, digest))
            )
        found.n_rows += frame.height
    for faults, what in ((altered, "altered"), (disordered, "reordered")):
        found.faults += faults[:MOST_NAMED]
        if len(faults) > MOST_NAMED:
            found.faults.append(f"{len(faults)} rows in all are {what}")
    return leaves


def _check_tree(found: Audit, manifest: dict[str, Any], leaves: dict[int, bytes]) -> None:
    size = found.head.tree_size
    due = [(int(lo), int(hi)) for lo, hi in manifest["leaves"]]
    have = stretches(sorted(leaves))
    if have != due:
        missing = sorted(_indices(due) - leaves.keys())
        extra = sorted(leaves.keys() - _indices(due))
        if missing:
            found.faults.append(f"{len(missing)} rows were removed: leaves {_named(missing)}")
        if extra:
            found.faults.append(f"{len(extra)} rows were put in: leaves {_named(extra)}")
    if found.n_rows != len(leaves):
        found.faults.append(f"{found.n_rows - len(leaves)} rows claim a leaf that another row has")
    rest = {(int(lo), int(hi)): bytes.fromhex(digest) for lo, hi, digest in manifest["rest"]}
    # A hash given for a leaf that is here as a row would let that row say anything.
    fits = have and have[0][0] >= 0 and have[-1][1] <= size and set(rest) == set(left_out(size, have))
    if not fits or root_of_parts(size, rest, leaves) != found.head.root:
        found.faults.append(
            f"the rows do not give the signed root of {size} leaves: some were altered, removed, put in or moved"
        )


def _indices(ranges: Sequence[tuple[int, int]]) -> set[int]:
    return {i for lo, hi in ranges for i in range(lo, min(hi, lo + 10**8))}


def _named(indices: Sequence[int]) -> str:
    return ", ".join(map(str, indices[:MOST_NAMED])) + (" …" if len(indices) > MOST_NAMED else "")


def _check_earlier(
    found: Audit,
    manifest: dict[str, Any],
    leaves: dict[int, bytes],
    public: PublicKey,
    seen: TreeHead | None,
) -> None:
    size = found.head.tree_size
    whole = len(leaves) == size and all(i in leaves for i in range(size))
    levels = Levels([leaves[i] for i in range(size)]) if whole else None
    n_held = 0
    for note in manifest["earlier_heads"]:
        head = TreeHead.read(note)
        try:
            public.open(note)
        except SignatureError as fault:
            found.faults.append(f"forged head of {head.tree_size} leaves: {fault}")
            continue
        if levels is None or head.tree_size > size or levels.root(head.tree_size) != head.root:
            found.faults.append(f"the first {head.tree_size} leaves are not those of an earlier signed head")
        else:
            n_held += 1
    if n_held:
        found.checked.append(f"the log begins with each of {n_held} earlier signed heads")
    if seen is None:
        return
    if seen.tree_size > size:
        found.faults.append(
            f"rolled back: this ledger had {seen.tree_size} leaves when it was seen last, and has {size} now"
        )
    elif seen.tree_size == size:
        if seen.root != found.head.root:
            found.faults.append(
                f"forked: this ledger showed another root of {size} leaves when it was seen last"
            )
        else:
            found.checked.append("it is the head that was seen last")
    elif levels is None:
        found.checked.append(
            f"not checked: whether the log begins with the {seen.tree_size} leaves seen last (a part of the ledger"
            " cannot say; export the whole, or check a proof of consistency)"
        )
    elif levels.root(seen.tree_size) != seen.root:
        found.faults.append(f"rewritten: the first {seen.tree_size} leaves are not those that were seen last")
    else:
        found.checked.append(f"the log begins with the {seen.tree_size} leaves that were seen last")


def _unsealed(frame: pl.DataFrame) -> int:
    """Count rows that hold something where their kind holds nothing: no hash covers it."""
    foreign = pl.lit(False)
    for kind in Kind:
        for name in FACTORS:
            foreign = foreign | (
                (pl.col("kind") != kind.value) & pl.col(stored_name(name, kind)).is_not_null()
            )
    entries = pl.col("kind").is_in([kind.value for kind in Kind])
    foreign = foreign | (entries & (pl.col("record").fill_null("") != ""))
    return frame.filter(foreign).height


def _said(frame: pl.DataFrame) -> list[str]:
    """Hash what each row says."""
    digests = pl.Series([""] * frame.height, dtype=pl.String)
    kinds = frame["kind"]
    for kind in Kind:
        of_kind = kinds == kind.value
        if of_kind.any():
            part = frame.filter(of_kind)
            renamed = part.select(
                *(pl.col(stored_name(name, kind)).alias(name) for name in HASHED), "issued_us", "source"
            )
            digests = digests.scatter(of_kind.arg_true(), pl.Series(hashes(renamed)))
    others = ~kinds.is_in([kind.value for kind in Kind])
    texts = frame["record"].filter(others).fill_null("")
    return digests.scatter(
        others.arg_true(), pl.Series([sha256_hex(t.encode()) for t in texts], dtype=pl.String)
    ).to_list()


def _chunks(path: Path) -> Iterator[pl.DataFrame]:
    """Read an export, some rows at a time where its format allows.

    Raises
    ------
    TableError
        If the file cannot be read as what its name says.
    """
    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches():
                    yield _typed(pl.DataFrame(pl.from_arrow(batch)), path)
        elif path.suffix == ".csv":
            texts = {name: dtype for name, dtype in SCHEMA.items() if name in _columns_of_csv(path)}
            yield _typed(pl.read_csv(path, schema_overrides=texts), path)
        elif path.suffix == ".json":
            yield _typed(pl.read_json(path, schema=dict(SCHEMA)), path)
        else:
            raise InputError(f"{path.name} is not an export; want .parquet, .csv or .json")
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise TableError(
            f"{path.name} cannot be read: {first}; it may be cut short, fetch it again"
        ) from None


def _columns_of_csv(path: Path) -> list[str]:
    with path.open(encoding="utf-8") as file:
        return file.readline().rstrip("\n").split(",")


def _typed(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    lacking = [name for name in SCHEMA if name not in frame.columns]
    if lacking:
        raise TableError(f"{path.name} lacks column {lacking[0]!r}; it is not a whole export, fetch it again")
    texts = pl.selectors.string()
    return frame.select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items()).with_columns(
        texts.fill_null("")
    )
