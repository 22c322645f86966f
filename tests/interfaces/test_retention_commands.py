"""Retiring and pruning from the command line: what left is said wherever somebody asks for it, at every door."""

import pytest

from gridmargin.interfaces.cli.ledger_app import ledger_app
from gridmargin.ledger import KEEP_DAYS, TreeHead
from interfaces.command_line import run
from interfaces.face_server import asked as served

OLD, NEW = "2020-07-15T18:00Z", "2024-07-15T18:00Z"
CUT = "2021-01-01T00:00Z"
LOG = "TIMESTAMP,ContextTokens,GeneratedTokens\n2020-07-15T18:14:01Z,300,40\n2020-07-15T18:15:20Z,310,50\n"


@pytest.fixture
def home(tmp_path):
    """A ledger with two moments four years apart, and receipts of the first."""
    folder = tmp_path / "home"
    for moment in (OLD, NEW):
        said = run("now", "US-ERCO", "--at", moment, "--source", "reference", "--data-dir", folder)
        assert said.code == 0, said.err
    return folder


def retired(home, out, *more):
    return run("ledger", "retire", "--before", CUT, "--out", out, "--data-dir", home, *more)


def key(home):
    return run("ledger", "key", "--data-dir", home).out.strip()


def test_a_receipt_whose_entries_were_retired_says_where_they_are(tmp_path):
    """Its steps through those entries are not checked, the others still close, and it is no error."""
    log = tmp_path / "requests.csv"
    log.write_text(LOG)
    priced = run(
        "account", log, "--zone", "US-ERCO", "--device", "H100", "--model", "llama-3.1-8b", "--out", tmp_path / "out",
        "--source", "reference", "--json",
    ).json()  # fmt: skip
    receipt = priced["example_receipts"][0]
    assert run("explain", receipt, "--out", tmp_path / "out", "--json").json()["unverified"] == []
    done = retired(tmp_path / "out" / "work", tmp_path / "old.parquet", "--json").json()
    answer = run("explain", receipt, "--out", tmp_path / "out", "--json").json()
    assert answer["closes"]
    assert {"factor, low", "factor, high", "average, beside it"} <= set(answer["unverified"])
    assert "range, low" not in answer["unverified"]
    told = [step["detail"] for step in answer["steps"] if done["sha256"] in step["detail"]]
    assert len(told) >= 2
    assert all("into old.parquet" in detail for detail in told)


def test_show_as_of_diff_and_rest_name_the_file(home, tmp_path):
    done = retired(home, tmp_path / "old.parquet", "--json").json()
    assert (done["n_rows"], done["zones"]["US-ERCO"]["start_utc"]) == (2, OLD)
    asked = ("--start", OLD, "--data-dir", home, "--json")
    for words in (("show", "US-ERCO"), ("as-of", "US-ERCO", "2020-12-31T00:00Z")):
        answer = run("ledger", *words, *asked).json()
        assert answer["entries"] == []
        assert [one["sha256"] for one in answer["retired"]] == [done["sha256"]]
    later = run("ledger", "show", "US-ERCO", "--start", NEW, "--data-dir", home, "--json").json()
    assert (len(later["entries"]), later["retired"]) == (1, [])
    changed = run("ledger", "diff", "--since", "2020-01-01T00:00Z", "--data-dir", home, "--json").json()
    assert [one["file"] for one in changed["retired"]] == ["old.parquet"]
    path = f"/v1/zones/US-ERCO/ledger?start={OLD}&end=2020-07-15T19:00Z"
    answer = served(home, lambda client: client.get(path)).json()
    assert [one["file"] for one in answer["retired"]] == ["old.parquet"]


def test_the_newest_days_are_refused_in_one_message_and_nothing_is_written(home, tmp_path):
    said = run(
        "ledger", "retire", "--before", "2099-01-01T00:00Z", "--out", tmp_path / "old.csv", "--data-dir", home
    )
    assert said.code == 2
    assert f"newest {KEEP_DAYS} days are not retired; give --before " in said.err
    assert not list(tmp_path.glob("old*"))


def test_the_defaults_of_the_commands_are_the_ledgers_own():
    """They stand apart so that the command line need not load the ledger to print its help."""
    (found,) = [c.callback for c in ledger_app.registered_commands if c.name == "retire"]
    assert KEEP_DAYS in found.__defaults__


def test_an_auditor_follows_a_part_from_the_size_they_saw(home, tmp_path):
    """Without the size they keep the head that they had; with it they move on."""
    public, memory = key(home), tmp_path / "seen"

    def verified(path):
        return run("ledger", "verify", "--export", path, "--public-key", public, "--seen", memory)

    run("ledger", "export", "--out", tmp_path / "first.csv", "--data-dir", home)
    assert verified(tmp_path / "first.csv").code == 0
    seen = TreeHead.read(memory.read_text())
    assert retired(home, tmp_path / "old.csv").code == 0
    for name, more in (("bare", ()), ("proven", ("--seen-size", seen.tree_size))):
        run("ledger", "export", "--out", tmp_path / f"{name}.csv", "--data-dir", home, *more)
    said = verified(tmp_path / "bare.csv")
    assert said.code == 0
    assert f"--seen-size {seen.tree_size}" in " ".join(said.out.split())
    assert TreeHead.read(memory.read_text()) == seen
    said = verified(tmp_path / "proven.csv")
    assert f"begins with the {seen.tree_size} leaves that were seen last" in " ".join(said.out.split())
    assert TreeHead.read(memory.read_text()).tree_size == seen.tree_size + 1


def test_pruning_needs_a_ledger_and_an_old_moment(home, tmp_path):
    said = run("archive", "prune", "--before", CUT, "--data-dir", tmp_path / "nowhere")
    assert said.code == 2
    assert "no ledger in" in said.err
    said = run("archive", "prune", "--before", "2099-01-01T00:00Z", "--remove", "--data-dir", home)
    assert said.code == 2
    assert "are not removed; give --before" in said.err
    answer = run("archive", "prune", "--before", CUT, "--remove", "--data-dir", home, "--json").json()
    assert (answer["n_payloads"], answer["n_in_ledger"]) == (0, answer["n_kept"])
