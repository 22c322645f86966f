"""An export proves itself: every way of changing it is found with the public key alone, and nothing else is."""

import contextlib
import json
from datetime import UTC, datetime, timedelta
from random import Random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmargin.ledger import (
    Asked,
    Book,
    Declaration,
    GridChange,
    Signer,
    TreeHead,
    audit_export,
    export,
    manifest_of,
)
from gridmargin.ledger.export import manifest_text
from gridmargin.ledger.merkle import stretches
from gridmargin.ledger.merkle import without as _without
from gridmargin.ledger.rows import HASHED, hashes
from gridmargin.vocab import InputError, Interval, TableError, sha256_hex
from ledger.samples import FIT, T0, estimates

FORMATS = (".parquet", ".csv", ".json")
MADE = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def book(store, tmp_path):
    with Book(store.ledger(), Signer(tmp_path / "key.pem")) as opened:
        rng = Random(5)
        for day in range(3):
            opened.append(
                estimates([rng.random() for _ in range(8)]), FIT, T0 + timedelta(days=day), source="ercot"
            )
        opened.declare(Declaration("US-ERCO", GridChange.FUEL_PRICE, T0, 'gas, "doubled"\nin a day', T0))
        yield opened


def exported(book, tmp_path, suffix=".csv", asked=Asked(), name="out"):
    path = tmp_path / (name + suffix)
    export(book, path, asked, MADE)
    return path


def rewritten(path, change):
    """Change an export's rows and sign nothing: what somebody without the key can do."""
    frame = pl.read_csv(path, infer_schema_length=None)
    change(frame).write_csv(path)


def with_manifest(path, change):
    body = json.loads(manifest_of(path).read_text())
    change(body)
    manifest_of(path).write_text(json.dumps(body))


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_whole_export_holds_in_every_format(book, tmp_path, suffix):
    path = exported(book, tmp_path, suffix)
    found = audit_export(path, book.signer.public())
    assert found.holds, found.faults
    assert (found.n_rows, found.head.tree_size) == (25, 25)
    assert any("3 earlier signed heads" in line for line in found.checked)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_part_holds_with_the_hashes_of_the_rest(book, tmp_path, suffix):
    part = Asked("US-ERCO", Interval.starting(T0, 1800))
    path = exported(book, tmp_path, suffix, part)
    found = audit_export(path, book.signer.public())
    assert found.holds, found.faults
    assert (found.n_rows, found.head.tree_size) == (6, 25)


@given(
    shares=st.lists(st.floats(0, 1), min_size=1, max_size=6),
    texts=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00")), min_size=6, max_size=6),
)
@settings(deadline=None, max_examples=12)
def test_any_number_and_any_text_comes_back_as_it_was_signed(tmp_path_factory, shares, texts):
    """Shortest decimals, quotes, newlines and other scripts survive all three formats."""
    folder = tmp_path_factory.mktemp("texts")
    conditions = [json.dumps({"note": text}, ensure_ascii=False) for text in texts[: len(shares)]]
    with Book(folder / "ledger.sqlite", Signer(folder / "key.pem")) as book:
        book.append(estimates(shares), FIT, T0, conditions=conditions)
        for suffix in FORMATS:
            found = audit_export(exported(book, folder, suffix), book.signer.public())
            assert found.holds, (suffix, found.faults)


ALTERATIONS = {
    "an altered factor": (
        lambda f: f.with_columns(
            marginal_mid_gco2_per_kwh=pl.when(pl.int_range(pl.len()) == 4)
            .then(pl.col("marginal_mid_gco2_per_kwh") * 0.9)
            .otherwise("marginal_mid_gco2_per_kwh")
        ),
        "row 5: marginal entry 5 of US-ERCO was altered",
    ),
    "a removed row": (lambda f: f.filter(pl.int_range(pl.len()) != 7), "1 rows were removed: leaves 7"),
    "a removed tail": (lambda f: f.head(20), "5 rows were removed: leaves 20, 21, 22, 23, 24"),
    "reordered rows": (lambda f: f[[0, 2, 1, *range(3, 25)]], "leaf 1 stands behind leaf 2: reordered"),
    "rows that changed places": (
        lambda f: f.with_columns(leaf_index=pl.col("leaf_index").replace({3: 4, 4: 3})).sort("leaf_index"),
        "do not give the signed root",
    ),
    "a row twice": (lambda f: pl.concat([f[:5], f[4:]]), "claim a leaf that another row has"),
    "a row put in": (
        lambda f: pl.concat([f, f[-1:].with_columns(leaf_index=pl.lit(25, dtype=pl.Int64))]),
        "1 rows were put in: leaves 25",
    ),
    "another time of writing": (
        lambda f: f.with_columns(recorded_us=pl.col("recorded_us") - 1), "do not give the signed root",
    ),
    "an altered declaration": (
        lambda f: f.with_columns(record=pl.col("record").str.replace("doubled", "halved")),
        "do not give the signed root",
    ),
    "a figure in the column of another kind": (
        lambda f: f.with_columns(average_mid_gco2_per_kwh=pl.lit(1.0)),
        "say something in a column that their kind does not have",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", ALTERATIONS)
def test_what_was_changed_in_the_rows_is_found(book, tmp_path, what):
    change, said = ALTERATIONS[what]
    path = exported(book, tmp_path)
    rewritten(path, change)
    found = audit_export(path, book.signer.public())
    assert any(said in fault for fault in found.faults), found.faults
    assert any("its hash differs" in fault for fault in found.faults)


def test_an_altered_row_with_its_own_hash_made_anew_is_found_by_the_root(book, tmp_path):
    """Somebody careful: factor and hash of the row fit each other, file hash and counts in the manifest too."""
    path = exported(book, tmp_path)
    frame = pl.read_csv(path, infer_schema_length=None)
    cheat = frame[3:4].with_columns(pl.col("marginal_low_gco2_per_kwh") * 0.5)
    said = cheat.select(
        *(pl.col(f"marginal_{c}" if c.endswith("gco2_per_kwh") else c).alias(c) for c in HASHED),
        pl.lit(None, dtype=pl.Int64).alias("issued_us"), "source",
    )  # fmt: skip
    cheat = cheat.with_columns(entry_sha256=pl.Series(hashes(said)))
    pl.concat([frame[:3], cheat, frame[4:]]).write_csv(path)
    with_manifest(path, lambda body: body.update(sha256=sha256_hex(path.read_bytes())))
    faults = audit_export(path, book.signer.public()).faults
    assert any("its words were changed" in fault for fault in faults)
    assert any("do not give the signed root" in fault for fault in faults)
    assert not any("was altered" in fault for fault in faults)


def test_a_hash_given_for_a_row_that_is_there_does_not_cover_it(book, tmp_path):
    """Even whoever has the key cannot let a row of an export say something else than its leaf."""
    path = exported(book, tmp_path)
    leaf = book.log.inclusion("marginal", 5).leaf
    rewritten(
        path, lambda f: f.with_columns(pl.col("recorded_us") + (pl.col("leaf_index") == 4).cast(pl.Int64))
    )
    with_manifest(path, lambda body: body.update(rest=[[4, 5, leaf.hex()]]))
    assert any("do not give the signed root" in f for f in audit_export(path, book.signer.public()).faults)


def test_a_forged_head_is_found(book, tmp_path):
    path = exported(book, tmp_path)
    forger = Signer(tmp_path / "forger.pem")
    head = TreeHead(book.signer.public().name, 25, bytes(32))
    with_manifest(path, lambda body: body.update(head=forger.sign(head.text())))
    assert any("forged head" in fault for fault in audit_export(path, book.signer.public()).faults)


def test_a_head_of_another_size_under_the_old_signature_is_found(book, tmp_path):
    path = exported(book, tmp_path)
    with_manifest(path, lambda body: body.update(head=body["head"].replace("\n25\n", "\n24\n")))
    assert any(
        "not one over these words" in fault for fault in audit_export(path, book.signer.public()).faults
    )


def test_an_export_of_another_ledger_does_not_pass(book, tmp_path):
    path = exported(book, tmp_path)
    found = audit_export(path, Signer(tmp_path / "other.pem").public())
    assert sum("is signed by" in fault for fault in found.faults) >= 2


def test_a_log_that_grew_holds_against_the_head_seen_before(book, tmp_path):
    before = TreeHead.read(book.head())
    book.append(estimates([0.9]), FIT, T0 + timedelta(days=9))
    found = audit_export(exported(book, tmp_path), book.signer.public(), before)
    assert found.holds
    assert any("begins with the 25 leaves" in line for line in found.checked)


def test_a_rollback_is_found_by_whoever_saw_more(book, tmp_path):
    path = exported(book, tmp_path)
    book.append(estimates([0.9]), FIT, T0 + timedelta(days=9))
    seen = TreeHead.read(book.head())
    faults = audit_export(path, book.signer.public(), seen).faults
    assert faults == ["rolled back: this ledger had 26 leaves when it was seen last, and has 25 now"]


@pytest.mark.parametrize(("size", "said"), [(25, "forked"), (20, "rewritten")])
def test_another_history_under_the_same_key_is_found(book, tmp_path, size, said):
    seen = TreeHead(book.signer.public().name, size, b"\x01" * 32)
    faults = audit_export(exported(book, tmp_path), book.signer.public(), seen).faults
    assert len(faults) == 1
    assert faults[0].startswith(said)


def test_a_part_says_that_it_cannot_be_held_against_what_was_seen(book, tmp_path):
    seen = TreeHead(book.signer.public().name, 20, b"\x01" * 32)
    path = exported(book, tmp_path, asked=Asked("US-ERCO", Interval.starting(T0, 900)))
    found = audit_export(path, book.signer.public(), seen)
    assert found.holds
    assert any(line.startswith("not checked") for line in found.checked)


def signed_anew(book, path, change=lambda body: None):
    """Make the manifest fit the file again: what whoever has the key can do."""
    body = json.loads(manifest_of(path).read_text())
    body |= {"sha256": sha256_hex(path.read_bytes())}
    change(body)
    body.pop("signature")
    body["signature"] = book.signer.sign(manifest_text(body))
    manifest_of(path).write_text(json.dumps(body))


def edited(text):
    return lambda path: path.write_text(text(path.read_text()))


def parquet_with(**columns):
    return lambda path: pl.read_parquet(path).with_columns(**columns).write_parquet(path)


SECOND_READINGS = {
    "a column more in CSV": (
        ".csv", edited(lambda t: "\n".join(f"{line},x" for line in t.replace('day"', "day").splitlines())), "column 'x'",
    ),
    "a column twice in CSV": (
        ".csv", edited(lambda t: t.replace("average_low_gco2_per_kwh", "marginal_mid_gco2_per_kwh", 1)), "lacks column",
    ),
    "a column more in Parquet": (".parquet", parquet_with(corrected_factor=pl.lit(1.0)), "column 'corrected_factor'"),
    "figures as text in Parquet": (
        ".parquet", parquet_with(start_s=pl.col("start_s").cast(pl.String)), "String in column 'start_s'",
    ),
    "a name twice in JSON": (
        ".json", edited(lambda t: t.replace('{"leaf_index"', '{"kind":"average","leaf_index"', 1)), "twice",
    ),
    "a name more in JSON": (
        ".json", edited(lambda t: t.replace('{"leaf_index"', '{"note":"checked","leaf_index"', 1)), "column 'note'",
    ),
    "a fraction of a leaf in JSON": (
        ".json", edited(lambda t: t.replace('"leaf_index":3,', '"leaf_index":3.7,')), "float in 'leaf_index'",
    ),
    "brackets without end in JSON": (".json", edited(lambda t: "[" * 100_000), "cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("what", SECOND_READINGS)
def test_an_export_that_others_would_read_otherwise_is_refused_even_with_the_key(book, tmp_path, what):
    suffix, change, said = SECOND_READINGS[what]
    path = exported(book, tmp_path, suffix)
    change(path)
    signed_anew(book, path)
    with pytest.raises(TableError, match=said):
        audit_export(path, book.signer.public())


SPOKEN_BESIDE = {
    "a zone beside a declaration": (pl.col("kind") == "declaration", {"zone": "US-CISO"}, "their kind does not have"),
    "a factor beside a declaration": (
        pl.col("kind") == "declaration", {"marginal_mid_gco2_per_kwh": 1.0}, "their kind does not have",
    ),
    "another kind": (pl.col("leaf_index") == 3, {"kind": "verified"}, "a kind that no ledger has"),
    "a separator within a text": (pl.col("leaf_index") == 3, {"regime": "day\x1freported"}, "in two ways"),
    "a source like an issue time": (pl.col("leaf_index") == 3, {"source": "1594836000000000"}, "in two ways"),
}  # fmt: skip


@pytest.mark.parametrize("what", SPOKEN_BESIDE)
def test_what_no_hash_covers_is_found_even_with_the_key(book, tmp_path, what):
    where, change, said = SPOKEN_BESIDE[what]
    path = exported(book, tmp_path, ".parquet")
    frame = pl.read_parquet(path)
    frame.with_columns(
        pl.when(where).then(pl.lit(value)).otherwise(name).alias(name) for name, value in change.items()
    ).write_parquet(path)
    signed_anew(book, path)
    faults = audit_export(path, book.signer.public()).faults
    assert any(said in fault for fault in faults), faults


def test_a_manifest_cannot_claim_more_than_there_is(book, tmp_path):
    part = exported(book, tmp_path, asked=Asked("US-ERCO", Interval.starting(T0, 900)))
    whole = {"zone": None, "start_utc": None, "end_utc": None}
    assert any(
        "not checked: whether anything is left out of this part, 3 of 25" in line
        for line in audit_export(part, book.signer.public()).checked
    )
    signed_anew(book, part, lambda body: body.update(asked=whole))
    assert audit_export(part, book.signer.public()).faults == [
        "22 leaves of the whole ledger have no row, and no retirement says where it is: "
        + ", ".join(map(str, [*range(1, 8), *range(9, 16), *range(17, 23)])) + " …"
    ]  # fmt: skip
    signed_anew(book, part, lambda body: body.update(n_rows=25))
    assert "the manifest says 25 rows, there are 3" in audit_export(part, book.signer.public()).faults


HOSTILE = {
    "a stretch without end": {"leaves": [[0, 10**18]]},
    "stretches without end": {"leaves": [[k * 10**9, k * 10**9 + 10**8] for k in range(100)]},
    "stretches out of order": {"leaves": [[5, 9], [0, 5]]},
    "a stretch of text": {"leaves": [["0", "25"]]},
    "leaves lost beyond measure": {"lost": [[0, 10**40]]},
    "lost in words": {"lost": "all"},
    "a head that is a number": {"head": 25},
    "earlier heads that are numbers": {"earlier_heads": [1, 2]},
    "a tree of a thousand digits": {"head": f"log\n{'9' * 4000}\n{'A' * 43}=\n"},
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_manifest_is_a_fault_or_refused_at_once(book, tmp_path, what):
    path = exported(book, tmp_path)
    with_manifest(path, lambda body: body.update(HOSTILE[what]))
    with contextlib.suppress(InputError):
        faults = audit_export(path, book.signer.public()).faults
        assert any("words were changed" in fault for fault in faults)
        assert any("rows were removed" in fault for fault in faults)


def test_a_manifest_of_endless_brackets_is_refused(book, tmp_path):
    path = exported(book, tmp_path)
    manifest_of(path).write_text("[" * 200_000)
    with pytest.raises(InputError, match="cannot be read"):
        audit_export(path, book.signer.public())


def test_a_head_seen_of_another_ledger_is_no_rollback(book, tmp_path):
    with pytest.raises(InputError, match="head seen before is of gridmargin/other"):
        audit_export(
            exported(book, tmp_path), book.signer.public(), TreeHead("gridmargin/other", 1, bytes(32))
        )


stretch_lists = st.sets(st.integers(0, 30)).map(lambda s: (s, stretches(sorted(s))))


@given(stretch_lists, stretch_lists)
def test_stretches_less_others_are_those_of_the_sets(one, other):
    assert _without(one[1], other[1]) == stretches(sorted(one[0] - other[0]))


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_cut_short_is_said_and_no_traceback(book, tmp_path, suffix):
    path = exported(book, tmp_path, suffix)
    body = path.read_bytes()
    path.write_bytes(body[: len(body) // 2])
    with contextlib.suppress(TableError):
        assert not audit_export(path, book.signer.public()).holds


def test_what_cannot_be_used_is_refused_with_the_way_out(book, tmp_path):
    path = exported(book, tmp_path)
    with pytest.raises(InputError, match="is there already"):
        export(book, path, Asked(), MADE)
    with pytest.raises(InputError, match=r"ends in \.parquet, \.csv, \.json"):
        export(book, tmp_path / "out.xlsx", Asked(), MADE)
    with pytest.raises(InputError, match="nothing to export"):
        export(book, tmp_path / "none.csv", Asked("US-CISO"), MADE)
    assert not list(tmp_path.glob("none*"))
    manifest_of(path).write_text("{}")
    with pytest.raises(InputError, match=r"cannot be read .* fetch it again"):
        audit_export(path, book.signer.public())
    manifest_of(path).unlink()
    with pytest.raises(InputError, match="has no manifest"):
        audit_export(path, book.signer.public())
    with pytest.raises(InputError, match="no such export"):
        audit_export(tmp_path / "nowhere.csv", book.signer.public())


def test_a_damaged_ledger_is_found_and_what_is_left_of_it_taken_out(tmp_path):
    """Pages overwritten in the middle of the file: the rest comes out under the last signed head, the lost leaves named."""
    path, signer = tmp_path / "ledger.sqlite", Signer(tmp_path / "key.pem")
    with Book(path, signer) as book:
        rng = Random(1)
        for day in range(40):
            book.append(estimates([rng.random() for _ in range(96)]), FIT, T0 + timedelta(days=day))
        size = len(book.log)
        root = book.connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'marginal_entries'"
        ).fetchone()[0]
        book.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    body = bytearray(path.read_bytes())
    for page in _leaf_pages(path, root)[10:13]:
        body[(page - 1) * 4096 : page * 4096] = b"\xff" * 4096
    path.write_bytes(body)
    with Book(path, signer) as book:
        assert any("damaged" in fault for fault in book.damage())
        out = tmp_path / "left.parquet"
        manifest = export(book, out, Asked(), MADE, salvage=True)
    lost = sum(hi - lo for lo, hi in manifest["lost"])
    assert 0 < lost < 0.2 * size
    assert manifest["n_rows"] == size - lost
    found = audit_export(out, signer.public())
    assert found.holds, found.faults
    assert f"{lost} leaves could not be read when this was taken out of a damaged ledger" in found.checked


def _leaf_pages(path, root):
    """Give the leaf pages below a table's root, read from the file as SQLite's format lays them down."""
    body = path.read_bytes()

    def walk(page):
        at = (page - 1) * 4096 + (100 if page == 1 else 0)
        if body[at] == 13:
            return [page]
        n_cells = int.from_bytes(body[at + 3 : at + 5], "big")
        found = []
        for i in range(n_cells):
            cell = int.from_bytes(body[at + 12 + 2 * i : at + 14 + 2 * i], "big") + (page - 1) * 4096
            found += walk(int.from_bytes(body[cell : cell + 4], "big"))
        return found + walk(int.from_bytes(body[at + 8 : at + 12], "big"))

    return walk(root)
