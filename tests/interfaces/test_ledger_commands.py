"""`ledger head`, `key`, `prove`, `export`, `verify` and `diff`, as typed and over REST, by a stranger with the key alone."""

import asyncio
import hashlib
import json
import shutil
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import polars as pl
import pytest

from gridmargin.interfaces.rest import Desk, build_app
from gridmargin.ledger import PublicKey, TreeHead
from gridmargin.settings import Settings
from gridmargin.wiring import choose_source, open_workplace
from interfaces.command_line import run


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written") / "home"
    for hour in (3, 4):
        said = run(
            "now", "US-ERCO", "--at", f"2026-07-15T0{hour}:00Z", "--source", "reference", "--data-dir", folder
        )
        assert said.code == 0, said.err
    return folder


@pytest.fixture
def home(written, tmp_path):
    """A data folder whose ledger has some entries."""
    return Path(shutil.copytree(written, tmp_path / "home"))


def key(home):
    return run("ledger", "key", "--data-dir", home).out.strip()


def exported(home, path, *more):
    return run("ledger", "export", "--out", path, "--data-dir", home, "--json", *more).json()


def verified(path, public, memory, *more):
    return run("ledger", "verify", "--export", path, "--public-key", public, "--seen", memory, *more)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".json"])
def test_a_stranger_checks_an_export_with_the_key_alone(home, tmp_path, suffix):
    """The ledger is gone by then: file, manifest and key are enough."""
    public, path = key(home), tmp_path / f"book{suffix}"
    n_rows = exported(home, path)["n_rows"]
    home.rename(tmp_path / "elsewhere")
    answer = verified(path, public, tmp_path / "seen", "--json").json()
    assert (answer["holds"], answer["n_rows"], answer["faults"]) == (True, n_rows, [])
    assert n_rows == answer["tree_size"] >= 4
    assert TreeHead.read((tmp_path / "seen").read_text()).tree_size == n_rows


def test_an_altered_factor_ends_in_exit_code_1_and_names_the_row(home, tmp_path):
    path = tmp_path / "book.csv"
    exported(home, path)
    rows = path.read_text().splitlines()
    cells = pl.read_csv(path)["marginal_low_gco2_per_kwh"]
    n = next(i for i, value in enumerate(cells) if value is not None)
    rows[n + 1] = rows[n + 1].replace(str(cells[n]), str(cells[n] - 1), 1)
    path.write_text("\n".join(rows) + "\n")
    said = verified(path, key(home), tmp_path / "seen")
    assert said.code == 1
    assert f"WRONG: row {n + 1}: marginal entry 1 of US-ERCO was altered" in said.out
    assert "NOT what was signed" in said.out
    assert not (tmp_path / "seen").exists()


def test_a_ledger_that_lost_what_was_seen_is_found_out(home, tmp_path):
    """Two exports, checked in the wrong order: the second check says that leaves are gone."""
    public, memory = key(home), tmp_path / "seen"
    exported(home, tmp_path / "old.parquet")
    run("now", "US-CISO", "--at", "2026-07-15T03:00Z", "--source", "reference", "--data-dir", home)
    exported(home, tmp_path / "new.parquet")
    assert verified(tmp_path / "new.parquet", public, memory).code == 0
    said = verified(tmp_path / "old.parquet", public, memory)
    assert said.code == 1
    assert "rolled back" in said.out


def test_a_part_of_a_zone_is_checked_too(home, tmp_path):
    path = tmp_path / "part.csv"
    exported(home, path, "--zone", "US-ERCO", "--start", "2026-07-15T03:00Z", "--end", "2026-07-15T04:00Z")
    said = verified(path, key(home), tmp_path / "seen")
    assert said.code == 0, said.out
    assert "the hashes of the rest" in said.out


def test_a_part_does_not_make_an_auditor_forget_what_was_seen(home, tmp_path):
    """A part cannot be held against an earlier head, so it does not take that one's place: a fork would pass by it."""
    memory = tmp_path / "seen"
    forged = TreeHead(PublicKey.read(key(home)).name, 1, b"\x01" * 32)
    memory.write_text(forged.text())
    part = ("--zone", "US-ERCO", "--start", "2026-07-15T03:00Z", "--end", "2026-07-15T04:00Z")
    exported(home, tmp_path / "part.csv", *part)
    exported(home, tmp_path / "whole.csv")
    assert verified(tmp_path / "part.csv", key(home), memory).code == 0
    assert memory.read_text() == forged.text()
    said = verified(tmp_path / "whole.csv", key(home), memory)
    assert said.code == 1
    assert "rewritten" in said.out


def test_the_ledger_in_place_is_held_against_the_head_that_was_seen(home, tmp_path):
    memory = tmp_path / "seen"
    assert run("ledger", "verify", "--data-dir", home, "--seen", memory).code == 0
    seen = TreeHead.read(memory.read_text())
    memory.write_text(TreeHead(seen.origin, seen.tree_size + 1, seen.root).text())
    said = run("ledger", "verify", "--data-dir", home, "--seen", memory)
    assert said.code == 1
    assert "rolled back" in said.out


def test_the_ledger_itself_is_checked_in_place(home):
    answer = run("ledger", "verify", "--data-dir", home, "--json").json()
    assert answer["holds"]
    assert (
        answer["n_rows"] == answer["tree_size"] - 1
    )  # the last leaf is that of the payload, which is no entry


def test_a_proof_is_checked_by_hand(home):
    """The audit path from the command line leads, hash by hash, to the root of the signed head."""
    proof = run("ledger", "prove", "marginal", 2, "--data-dir", home, "--json").json()
    head = TreeHead.read(PublicKey.read(key(home)).open(proof["head"]))
    root, first, last = bytes.fromhex(proof["leaf_sha256"]), proof["leaf_index"], proof["tree_size"] - 1
    for step in map(bytes.fromhex, proof["path"]):
        if first % 2 or first == last:
            root = hashlib.sha256(b"\x01" + step + root).digest()
            while first % 2 == 0 and first:
                first, last = first // 2, last // 2
        else:
            root = hashlib.sha256(b"\x01" + root + step).digest()
        first, last = first // 2, last // 2
    assert root == head.root


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("verify", "--export", "nowhere.csv"), "needs --public-key"),
        (("verify", "--export", "nowhere.csv", "--public-key", "no-such-file"), "no such file"),
        (("verify", "--export", "nowhere.csv", "--public-key", "a+b+c"), "is not a public key"),
        (("prove", "marginal", "999"), "no marginal record 999"),
        (("prove", "weather", "1"), "unknown kind of record 'weather'"),
        (("export", "--out", "book.xls"), "ends in .parquet, .csv, .json"),
        (("export", "--out", "no/such/folder/book.csv"), "no folder"),
        (("export", "--out", "book.csv", "--start", "2026-07-15T03:00Z"), "go together"),
        (("export", "--out", "book.csv", "--zone", "US-NOWHERE"), "unknown zone"),
        (("diff", "--since", "2026-07-15T03:00"), "--since"),
    ],
)
def test_bad_input_gets_one_message_and_exit_code_2(home, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    ran = run("ledger", *arguments, "--data-dir", home)
    assert ran.code == 2, ran.out
    assert said in ran.err
    assert ran.err.count("\n") == 1
    assert not list(tmp_path.glob("book*"))


def test_no_ledger_is_said(tmp_path):
    for command in (["head"], ["key"], ["verify"], ["diff", "--since", "2026-07-15T03:00Z"]):
        ran = run("ledger", *command, "--data-dir", tmp_path / "nothing")
        assert (ran.code, ran.out) == (2, "")
        assert "no ledger in" in ran.err


def test_the_private_key_is_in_no_answer(home, tmp_path):
    secret = "".join((home / "ledger-key.pem").read_text().splitlines()[1:-1])
    exported(home, tmp_path / "book.csv")
    said = [
        key(home),
        run("ledger", "head", "--data-dir", home).out,
        (tmp_path / "book.csv.manifest.json").read_text(),
    ]
    assert not any(secret[-20:] in text for text in said)


@asynccontextmanager
async def serving(folder):
    with open_workplace(folder, Settings()) as place:
        desk = Desk(place, choose_source("reference", Settings()), "US-ERCO", None)
        transport = httpx.ASGITransport(build_app(desk), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client


def test_rest_gives_the_same_head_proof_and_differences(home):
    async def work():
        async with serving(home) as client:
            return {
                path: await client.get(path)
                for path in (
                    "/v1/ledger/head", "/v1/ledger/proof/marginal/2", "/v1/ledger/consistency?tree_size=2",
                    "/v1/ledger/diff?since=2020-01-01T00:00Z", "/v1/ledger/proof/marginal/999",
                    "/v1/ledger/consistency?tree_size=999", "/v1/ledger/consistency?tree_size=0",
                    "/v1/ledger/diff?since=2020-01-01T00:00", "/v1/ledger/diff?since=2020-01-01T00:00Z&zone=XX",
                )
            }  # fmt: skip

    answers = asyncio.run(work())
    assert [a.status_code for a in answers.values()] == [200, 200, 200, 200, 404, 404, 422, 422, 404]
    assert all(set(a.json()["error"]) == {"code", "message", "way_out"} for a in list(answers.values())[4:])
    head, proof, consistency, diff = (answer.json() for answer in list(answers.values())[:4])
    assert head["note"] == run("ledger", "head", "--data-dir", home).out
    assert proof == run("ledger", "prove", "marginal", 2, "--data-dir", home, "--json").json()
    assert (consistency["old_tree_size"], consistency["tree_size"]) == (2, head["tree_size"])
    assert diff == json.loads(
        run("ledger", "diff", "--since", "2020-01-01T00:00Z", "--data-dir", home, "--json").out
    )
    assert diff["n_new"] == head["tree_size"] - 1  # a payload is no entry
