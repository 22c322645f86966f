"""The ledger may lie outside the data folder: in another file, or in PostgreSQL, by option or by environment."""

import pytest

from interfaces.command_line import priced, run

TIME = "2026-07-15T18:15:00Z"


@pytest.mark.parametrize("how", ["option", "environment"])
def test_every_command_finds_the_ledger_elsewhere(store, tmp_path, monkeypatch, how):
    """What `now` and `account` wrote there, under one key, `ledger` and `explain` read there; the data folder has none."""
    place = store.ledger()
    there = ("--ledger", place) if how == "option" else ()
    if how == "environment":
        monkeypatch.setenv("GRIDMARGIN_LEDGER", str(place))
    home = ("--data-dir", tmp_path / "home", *there)
    asked = ("US-ERCO", "--at", TIME, "--source", "reference", *home, "--json")
    assert run("now", *asked).json()["marginal"]
    assert run("ledger", "show", "US-ERCO", "--start", TIME, *home, "--json").json()["entries"]
    said = run("declare", "US-ERCO", "--what", "fleet", "--from", TIME, "--note", "x", *home, "--json").json()
    assert said["zone"] == "US-ERCO"
    receipt = priced(tmp_path, *there).json()["example_receipts"][0]
    explained = run("explain", receipt, "--out", tmp_path / "out", *there, "--json").json()
    assert explained["closes"]
    assert run("ledger", "diff", "--since", "2020-01-01T00:00Z", *home, "--json").json()["n_new"] > 0
    checked = run("ledger", "verify", *home, "--json").json()
    assert (checked["holds"], checked["checked"]) == (True, str(place))
    key = run("ledger", "key", *home, "--json").json()["public_key"]
    out = tmp_path / "book.csv"
    assert run("ledger", "export", "--out", out, *home, "--json").json()["public_key"] == key
    seen = ("--seen", tmp_path / "seen")
    assert run("ledger", "verify", "--export", out, "--public-key", key, *seen, "--json").json()["holds"]
    assert list(tmp_path.rglob("*.sqlite")) == []


@pytest.mark.postgresql
def test_a_ledger_that_cannot_be_reached_is_one_message_with_exit_code_2(postgresql, tmp_path):
    """For people as for programs, and without the password."""
    url = postgresql.url("never_made").replace("owner", "owner:topsecret")
    told = run("now", "US-ERCO", "--source", "reference", "--data-dir", tmp_path, "--ledger", url)
    assert (told.code, told.out) == (2, "")
    assert "does not exist; make it first" in told.err
    assert "topsecret" not in told.err
    assert "Traceback" not in told.err


def test_a_ledger_file_that_is_not_there_is_not_begun_by_a_question(tmp_path):
    """Its name is in the message, and so is where the name came from."""
    path = tmp_path / "elsewhere.sqlite"
    told = run("ledger", "show", "US-ERCO", "--start", TIME, "--ledger", path)
    assert told.code == 2
    assert f"no ledger at {path}; correct --ledger or GRIDMARGIN_LEDGER" in told.err
    assert not path.exists()
