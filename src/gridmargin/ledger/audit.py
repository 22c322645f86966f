"""Check an export with its manifest and a public key: no database, no network, none of our word for it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any

import polars as pl

from gridmargin.ledger.book import Book
from gridmargin.ledger.corrections import TOLERANCE
from gridmargin.ledger.export import FACTORS, FORMAT, SCHEMA, file_sha256, manifest_of, manifest_text
from gridmargin.ledger.merkle import (
    EMPTY,
    Levels,
    is_consistent,
    leaf_hash,
    left_out,
    root_of_parts,
    stretches,
    without,
)
from gridmargin.ledger.notes import DASH, PublicKey, SignatureError, TreeHead
from gridmargin.ledger.records import KINDS, Written, leaf_data, records_after
from gridmargin.ledger.retirements import read_leaves, retirement_faults
from gridmargin.ledger.rows import HASHED, hashes, stored_name
from gridmargin.ledger.witness import WitnessKey, cosigned, refusal
from gridmargin.vocab import InputError, Kind, TableError, format_utc, sha256_hex

OF_ENTRIES = (*HASHED[:9], *HASHED[12:], "entry_sha256", "issued_us", "source")
"""Columns besides the factors that only entries fill."""

MOST_LEAVES = 2**63
"""No log has so many leaves."""

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
    notes : list of str
        What is no fault and yet should be known, for people.
    follows : bool
        Whether it was held against the head seen before, where there is one: only then is it the one to remember.
    """

    head: TreeHead
    n_rows: int = 0
    checked: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    follows: bool = True

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


def audit_export(
    path: Path, public: PublicKey, seen: TreeHead | None = None, witnesses: Sequence[WitnessKey] = ()
) -> Audit:
    """Check that the rows of a file are those that were signed.

    Parameters
    ----------
    path : Path
        The export; its manifest stands beside it.
    public : PublicKey
        Of the ledger, from somewhere else than the export.
    seen : TreeHead, optional
        A head that this ledger showed earlier: today's log must begin with it.
    witnesses : sequence of WitnessKey
        Who must have cosigned a head that today's log begins with.

    Raises
    ------
    InputError
        If there is no such file or manifest, they cannot be read at all, or `seen` is of another ledger.
    """
    if seen is not None and seen.origin != public.name:
        raise InputError(f"the head seen before is of {seen.origin}, not of {public.name}; name another file")
    manifest = _manifest(path)
    signature = str(manifest.pop("signature"))
    head = TreeHead.read(str(manifest["head"]))
    found = Audit(head)
    _check_signatures(found, manifest, signature, public)
    if file_sha256(path) != manifest["sha256"]:
        found.faults.append(f"{path.name} is not the file that was signed: its hash differs")
    leaves, retired, restored = _check_rows(found, path)
    _check_tree(found, manifest, leaves)
    _check_extent(found, manifest, leaves, retired, restored)
    if found.holds:
        found.checked.append(
            f"{found.n_rows} rows and the hashes of the rest give the signed root of {head.tree_size} leaves"
        )
    if n_lost := sum(hi - lo for lo, hi in manifest["lost"]):
        found.checked.append(f"{n_lost} leaves could not be read when this was taken out of a damaged ledger")
    _check_earlier(found, manifest, leaves, public, seen)
    _check_witnesses(
        found,
        found.head,
        [
            (str(one["note"]), [bytes.fromhex(step) for step in one["path"]])
            for one in manifest.get("cosigned", [])
        ],
        public,
        witnesses,
    )
    return found


def audit_book(
    book: Book,
    public: PublicKey | None,
    seen: TreeHead | None = None,
    witnesses: Sequence[WitnessKey] = (),
    now_utc: datetime | None = None,
) -> Audit:
    """Check the book in its database: rows and fits against their hashes, rows against leaves, leaves against signed heads.

    Parameters
    ----------
    seen : TreeHead, optional
        A head that this ledger showed earlier: today's log must begin with it.
    witnesses : sequence of WitnessKey
        Who must have cosigned a head that today's log begins with; their word needs `public`.
    now_utc : datetime, optional
        Now: records that bear later times are told.

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
    found.faults += book.fit_faults()
    gone = book.retirements(standing=True)
    covered = sorted(stretch for one in gone for stretch in one.leaves)
    found.faults += book.log.faults(records_after(book.connection, {}), public, covered)
    found.faults += retirement_faults(book.connection, signed)
    if seen is not None and seen.tree_size > size:
        found.faults.append(
            f"rolled back: this ledger had {seen.tree_size} leaves when it was seen last, and has {size} now"
        )
    elif seen is not None and book.log.root(seen.tree_size) != seen.root:
        found.faults.append(f"rewritten: the first {seen.tree_size} leaves are not those that were seen last")
    if witnesses and public is not None and found.holds:
        head = TreeHead(public.name, size, book.log.root())
        notes = [
            (note, book.log.consistency(TreeHead.read(note).tree_size))
            for note in cosigned(book.connection, size)
        ]
        _check_witnesses(found, head, notes, public, witnesses)
    elif witnesses:
        found.checked.append("not checked: what the witnesses saw, since the log itself does not hold")
    found.notes += clock_notes(book, now_utc)
    if found.holds:
        found.checked += [f"{one.n_rows} leaves stand for entries {one}" for one in gone]
        found.checked.append(
            f"{size} leaves belong to what stands in the book, and {len(signed)} signed heads to the leaves"
        )
    return found


def clock_notes(book: Book, now_utc: datetime | None) -> list[str]:
    """Say where recorded times are not to be taken at their word: they lie ahead of now, or did once."""
    told = [str(one) for one in book.corrections()]
    newest = book.newest_utc()
    if now_utc is not None and newest is not None and newest > now_utc + TOLERANCE:
        told.append(
            f"the newest record bears {format_utc(newest)}, which is {newest - now_utc} ahead of this clock: if this clock"
            " is behind, set it; if one that ran ahead wrote that, `gridmargin ledger clock --correct NOTE` lets true"
            " times go on, and until then each record only bears a time after the one before"
        )
    return told


def _check_witnesses(
    found: Audit,
    head: TreeHead,
    notes: Sequence[tuple[str, list[bytes]]],
    public: PublicKey,
    witnesses: Sequence[WitnessKey],
) -> None:
    """Hold the newest head that each witness cosigned against the log, by its proof of consistency."""
    for witness in witnesses:
        why, newest = "no head bears its cosignature", None
        for note, path in notes:
            try:
                moment, seen = witness.seen(note), TreeHead.read(public.open(note))
            except SignatureError as fault:
                if f"{DASH}{witness.name} " in note:
                    why = str(fault)
                continue
            if seen.origin != head.origin or refusal(seen, head, path) is not None:
                why = f"the {seen.tree_size} leaves that it saw at {format_utc(moment)} are not those the log begins with"
                newest = None
                break
            newest = (seen, moment)
        if newest is None:
            found.faults.append(f"witness {witness.name}: {why}")
            continue
        seen, moment = newest
        rest = head.tree_size - seen.tree_size
        found.checked.append(
            f"witness {witness.name} saw the first {seen.tree_size} leaves at {format_utc(moment)}"
            + (f"; {rest} came after that" if rest else "")
        )


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
        wanted = {
            "format",
            "sha256",
            "leaves",
            "rest",
            "head",
            "earlier_heads",
            "signature",
            "n_rows",
            "lost",
            "asked",
        }
        if not isinstance(body, dict) or not wanted <= body.keys() or body["format"] != FORMAT:
            raise ValueError(f"it is not a manifest of format {FORMAT}")
        for name in ("leaves", "lost"):
            _require_stretches(name, body[name])
        _require_stretches("rest", [(lo, hi) for lo, hi, digest in body["rest"] if bytes.fromhex(digest)])
        if not all(
            isinstance(note, str) for note in (body["head"], body["signature"], *body["earlier_heads"])
        ):
            raise ValueError("a signed note in it is no text")
        if proof := body.get("consistency"):
            int(proof["tree_size"]), [bytes.fromhex(step) for step in proof["path"]]
        for one in body.get("cosigned", []):
            TreeHead.read(one["note"]), [bytes.fromhex(step) for step in one["path"]]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"{manifest_path.name} cannot be read ({error}); fetch it again") from None
    return body


def _require_stretches(name: str, ranges: Sequence[tuple[int, int]]) -> None:
    """Refuse what are no stretches of leaves, ascending and apart."""
    last = 0
    for lo, hi in ranges:
        if type(lo) is not int or type(hi) is not int or not last <= lo < hi < MOST_LEAVES:
            raise ValueError(f"its {name!r} are no ascending stretches of leaves")
        last = hi


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


def leaves_of(frame: pl.DataFrame, said: Sequence[str] | None = None) -> list[bytes]:
    """Hash the leaf of each row of an export from what the row says, hashed anew where that is not given."""
    columns = ("kind", "record_id", "recorded_us", "supersedes", "recalibration_id")
    rows = frame.select(columns).iter_rows()
    return [
        leaf_hash(leaf_data(Written(row[0], row[1], row[2], row[3], row[4], digest)))
        for row, digest in zip(rows, _said(frame) if said is None else said, strict=True)
    ]


def _check_rows(found: Audit, path: Path) -> tuple[dict[int, bytes], list[tuple[int, str]], list[str]]:
    """Hash every row anew; give the leaves by their place, id and text of each retirement, and what was restored."""
    leaves: dict[int, bytes] = {}
    retired: list[tuple[int, str]] = []
    restored: list[str] = []
    altered: list[str] = []
    disordered: list[str] = []
    last = -1
    for frame in rows_in(path):
        said = _said(frame)
        retired += frame.filter(pl.col("kind") == "retirement").select("record_id", "record").rows()
        restored += frame.filter(pl.col("kind") == "restoration")["record"].to_list()
        if unsealed := _unsealed(frame):
            found.faults.append(f"{unsealed} rows say something in a column that their kind does not have")
        if ambiguous := _ambiguous(frame):
            found.faults.append(f"{ambiguous} rows can be read in two ways under one hash")
        if unknown := frame.filter(~pl.col("kind").is_in(list(KINDS))).height:
            found.faults.append(f"{unknown} rows are of a kind that no ledger has")
        stated, zones = frame["entry_sha256"].to_list(), frame["zone"].to_list()
        places = frame.select("leaf_index", "kind", "record_id").iter_rows()
        for at, ((index, kind, record_id), digest, leaf) in enumerate(
            zip(places, said, leaves_of(frame, said), strict=True)
        ):
            row = found.n_rows + at + 1
            if index <= last:
                disordered.append(f"row {row}: leaf {index} stands behind leaf {last}: reordered")
            last = max(last, index)
            if stated[at] and stated[at] != digest:
                altered.append(
                    f"row {row}: {kind} entry {record_id} of {zones[at]} was altered: it does not have the hash"
                    " that stands beside it"
                )
            leaves[index] = leaf
        found.n_rows += frame.height
    for faults, what in ((altered, "altered"), (disordered, "reordered")):
        found.faults += faults[:MOST_NAMED]
        if len(faults) > MOST_NAMED:
            found.faults.append(f"{len(faults)} rows in all are {what}")
    return leaves, retired, restored


def _check_tree(found: Audit, manifest: dict[str, Any], leaves: dict[int, bytes]) -> None:
    size = found.head.tree_size
    due = [(lo, hi) for lo, hi in manifest["leaves"]]
    have = stretches(sorted(leaves))
    for said, n in (("removed", without(due, have)), ("put in", without(have, due))):
        if n:
            found.faults.append(f"{sum(hi - lo for lo, hi in n)} rows were {said}: leaves {_named(n)}")
    if found.n_rows != len(leaves):
        found.faults.append(f"{found.n_rows - len(leaves)} rows claim a leaf that another row has")
    rest = {(int(lo), int(hi)): bytes.fromhex(digest) for lo, hi, digest in manifest["rest"]}
    # A hash given for a leaf that is here as a row would let that row say anything.
    fits = have and have[0][0] >= 0 and have[-1][1] <= size and set(rest) == set(left_out(size, have))
    if not fits or root_of_parts(size, rest, leaves) != found.head.root:
        found.faults.append(
            f"the rows do not give the signed root of {size} leaves: some were altered, removed, put in or moved"
        )


def _check_extent(
    found: Audit,
    manifest: dict[str, Any],
    leaves: dict[int, bytes],
    retired: Sequence[tuple[int, str]],
    restored: Sequence[str],
) -> None:
    """Hold how much there is against how much there is said to be; where a whole lacks rows, something in it says so."""
    size = found.head.tree_size
    if manifest["n_rows"] != found.n_rows:
        found.faults.append(f"the manifest says {manifest['n_rows']} rows, there are {found.n_rows}")
    asked = manifest["asked"]
    if not isinstance(asked, dict) or any(asked.values()):
        found.checked.append(
            f"not checked: whether anything is left out of this part, {found.n_rows} of {size} leaves (only an export of"
            " the whole can say)"
        )
        return
    lacking = without(without([(0, size)] if size else [], stretches(sorted(leaves))), manifest["lost"])
    back = set()
    for text in restored:
        try:
            back.add(json.loads(text)["retirement_id"])
        except (ValueError, TypeError, KeyError, RecursionError):
            found.faults.append("a restoration cannot be read: its row was altered")
    for retirement_id, text in retired:
        if retirement_id in back:
            found.checked.append(f"the entries of retirement {retirement_id} were restored")
            continue
        try:
            record = json.loads(text)
            covered = read_leaves(record["leaves"])
            _require_stretches("leaves", covered)
            said = f"{record['n_rows']} leaves stand for entries retired into {record['file']} (SHA-256 {record['sha256']})"
        except (ValueError, TypeError, KeyError, RecursionError):
            found.faults.append("a retirement cannot be read: its row was altered")
            continue
        lacking = without(lacking, covered)
        found.checked.append(said)
    if lacking:
        n_lacking = sum(hi - lo for lo, hi in lacking)
        found.faults.append(
            f"{n_lacking} leaves of the whole ledger have no row, and no retirement says where it is: {_named(lacking)}"
        )


def _named(ranges: Sequence[tuple[int, int]]) -> str:
    first = list(islice(chain.from_iterable(range(lo, hi) for lo, hi in ranges), MOST_NAMED + 1))
    return ", ".join(map(str, first[:MOST_NAMED])) + (" …" if len(first) > MOST_NAMED else "")


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
        if head.origin != public.name:
            found.faults.append(f"an earlier head is of another log than {public.name}")
        elif levels is None or head.tree_size > size or levels.root(head.tree_size) != head.root:
            found.faults.append(f"the first {head.tree_size} leaves are not those of an earlier signed head")
        else:
            n_held += 1
    if n_held:
        found.checked.append(f"the log begins with each of {n_held} earlier signed heads")
    if seen is None:
        return
    proof = manifest.get("consistency") or {"tree_size": None, "path": []}
    proven, path = proof["tree_size"], [bytes.fromhex(step) for step in proof["path"]]
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
    elif levels is None and proven != seen.tree_size:
        found.follows = False
        found.checked.append(
            f"not checked: whether the log begins with the {seen.tree_size} leaves seen last (rows alone cannot say where"
            f" some are left out; ask for an export with `seen_size={seen.tree_size}`)"
        )
    elif not (
        is_consistent(seen.tree_size, seen.root, size, found.head.root, path)
        if levels is None
        else levels.root(seen.tree_size) == seen.root
    ):
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
    foreign = foreign | (entries & (pl.col("record") != ""))
    for name in OF_ENTRIES:
        says = pl.col(name) != "" if SCHEMA[name] == pl.String else pl.col(name).is_not_null()
        foreign = foreign | (~entries & says)
    return frame.filter(foreign).height


def _ambiguous(frame: pl.DataFrame) -> int:
    """Count rows whose hash would be that of another row too: a separator within a text, or a source like a time."""
    separated = pl.any_horizontal(pl.selectors.string().str.contains("\x1f", literal=True))
    like_a_time = pl.col("issued_us").is_null() & pl.col("source").str.contains(r"^-?[0-9]+$")
    return frame.filter((separated & (pl.col("record") == "")) | like_a_time).height


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


def rows_in(path: Path) -> Iterator[pl.DataFrame]:
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
                _require_columns(file.schema_arrow.names, path)
                for batch in file.iter_batches():
                    yield _typed(pl.DataFrame(pl.from_arrow(batch)), path)
        elif path.suffix == ".csv":
            with path.open(encoding="utf-8", newline="") as text:
                _require_columns(text.readline().removesuffix("\n").split(","), path)
            yield _typed(pl.read_csv(path, schema_overrides=dict(SCHEMA)), path)
        elif path.suffix == ".json":
            _require_json_rows(path)
            yield _typed(pl.read_json(path, schema=dict(SCHEMA)), path)
        else:
            raise InputError(f"{path.name} is not an export; want .parquet, .csv or .json")
    except (pl.exceptions.PolarsError, OSError, ValueError, RecursionError) as error:
        first = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise TableError(
            f"{path.name} cannot be read: {first}; it may be cut short, fetch it again"
        ) from None


def _require_columns(names: Sequence[str], path: Path) -> None:
    """Refuse other columns than those of an export, also one more: nothing signed would cover it."""
    wanted = list(SCHEMA)
    if lacking := [name for name in wanted if name not in names]:
        raise TableError(f"{path.name} lacks column {lacking[0]!r}; it is not a whole export, fetch it again")
    if list(names) != wanted:
        other = next((name for name in names if name not in SCHEMA), None)
        what = "its columns twice or in another order" if other is None else f"the column {other[:60]!r}"
        raise TableError(f"{path.name} has {what}, which no export has; fetch it again")


_JSON_TYPES = {pl.Int64: (int,), pl.Float64: (float, int), pl.String: (str,)}


def _require_json_rows(path: Path) -> None:
    """Refuse rows with a name twice or a value of another type: who reads them elsewhere may see other figures."""
    names: set[tuple[str, ...]] = set()
    types: set[tuple[type, ...]] = set()

    def row(pairs: list[tuple[str, Any]]) -> None:
        names.add(tuple(name for name, _ in pairs))
        types.add(tuple(type(value) for _, value in pairs))

    with path.open(encoding="utf-8", newline="\n") as file:
        for line in file:
            if (text := line.rstrip("\n").removesuffix(",")) not in ("[", "]", "[]"):
                json.loads(text, object_pairs_hook=row)
    for found in names:
        _require_columns(found, path)
    for one in types:
        for (name, due), held in zip(SCHEMA.items(), one, strict=True):
            if held is not type(None) and held not in _JSON_TYPES[due]:
                raise TableError(f"{path.name} has a {held.__name__} in {name!r}; fetch it again")


def _typed(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    for name, dtype in SCHEMA.items():
        if frame.schema[name] != dtype:
            raise TableError(
                f"{path.name} has {frame.schema[name]} in column {name!r}, not {dtype}; fetch it again"
            )
    return frame.with_columns(pl.selectors.string().fill_null(""))
