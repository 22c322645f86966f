"""Recalibrate, declare and the list of forecasts at the command line."""

from datetime import UTC, datetime, timedelta

import pytest

from gridmargin.ledger import Book
from gridmargin.pipeline import append_forecasts
from interfaces.command_line import run
from ledger.samples import FIT, estimates

AT = "2026-07-15T18:15:00Z"
FROM = datetime(2026, 7, 15, 18, tzinfo=UTC)
ZONE = ("US-ERCO", "--source", "reference")
SAID = ("--what", "fleet", "--from", "2026-07-01T00:00Z", "--note", "a coal plant closed")


@pytest.fixture
def home(tmp_path):
    """A ledger with one hour of typical days."""
    run("now", *ZONE, "--at", AT, "--data-dir", tmp_path, "--json").json()
    return tmp_path


def test_a_declared_change_shows_in_the_evidence(home):
    """It is recorded once, and what `now` says afterwards names it with what became of it."""
    told = run("declare", "US-ERCO", *SAID, "--data-dir", home, "--json").json()
    assert (told["what"], told["from_utc"], told["note"]) == (
        "fleet",
        "2026-07-01T00:00Z",
        "a coal plant closed",
    )
    assert run("declare", "US-ERCO", *SAID, "--data-dir", home, "--json").json() == told
    now = run("now", *ZONE, "--at", AT, "--data-dir", home, "--json").json()
    for estimate in now["marginal"]:
        (change,) = estimate["evidence"]["grid_changes"]
        assert change["note"] == "a coal plant closed"
        assert change["effect"]
        assert estimate["supersedes"] is not None
    assert "a coal plant closed" in run("now", *ZONE, "--at", AT, "--data-dir", home).out
    assert "a coal plant closed" in run("declare", "US-ERCO", *SAID, "--data-dir", home).out


def test_a_forced_recalibration_says_what_and_why(home):
    """Typical days have no reference: forced, the record has the reason, and the next answer names it."""
    asked = ("recalibrate", *ZONE, "--estimator", "regression", "--data-dir", home)
    refused = run(*asked)
    assert (refused.code, refused.out) == (2, "")
    assert "nothing to hold regression" in refused.err
    answer = run(*asked, "--force", "--reason", "new rates", "--json").json()
    (checked,) = answer["checked"]
    record = checked["recalibration"]
    assert (record["cause"], record["reason"]) == ("forced", "new rates")
    assert checked["n_superseded"] >= 1
    assert record["old_fit_id"] != record["new_fit_id"]
    assert record["changes"]
    shown = run("ledger", "show", "US-ERCO", "--start", AT, "--data-dir", home, "--json").json()["entries"]
    assert {e["recalibration_id"] for e in shown} >= {record["recalibration_id"]}
    now = run("now", *ZONE, "--at", AT, "--data-dir", home, "--json").json()
    told = {e["estimator"]: e["evidence"]["recalibration"] for e in now["marginal"]}
    assert told["regression"]["reason"] == "new rates"
    assert told["fleet_curve"] is None
    again = run(*asked, "--force", "--reason", "new rates")
    assert again.code == 0
    assert "nothing changed" in again.out


def test_without_a_zone_every_zone_is_checked(home):
    """Each zone and estimator of the ledger is answered for; what the source lacks is left alone."""
    run("now", "DE", "--source", "reference", "--at", AT, "--data-dir", home, "--json").json()
    asked = ("recalibrate", "--source", "reference", "--data-dir", home)
    nothing = run(*asked)
    assert (nothing.code, nothing.out) == (2, "")
    assert "US-ERCO, regression: nothing to hold" in nothing.err
    answer = run(*asked, "--force", "--reason", "new rates", "--json").json()
    checked = {(c["zone"], c["estimator"]) for c in answer["checked"]}
    assert {("DE", "regression"), ("US-ERCO", "regression"), ("US-ERCO", "fleet_curve")} <= checked


def test_forecasts_are_listed_beside_what_was_observed(tmp_path):
    """Issue, horizon, error and coverage; what is not observed yet has none; as a table too."""
    with Book(tmp_path / "ledger.sqlite") as book:
        append_forecasts(book, estimates([0.1, 0.5], FROM - timedelta(minutes=30), start=FROM), FIT, FROM)
        append_forecasts(book, estimates([0.2, 0.2, 0.2], FROM, start=FROM), FIT, FROM)
        book.append(estimates([0.2, 0.3], start=FROM), FIT, FROM + timedelta(hours=1))
    asked = ("ledger", "forecasts", "US-ERCO", "--issued-from", "2026-07-15T17:00Z", "--issued-to",
             "2026-07-15T18:30Z", "--data-dir", tmp_path)  # fmt: skip
    answer = run(*asked, "--json").json()
    assert [f["issued_utc"] for f in answer["forecasts"]] == ["2026-07-15T17:30Z"] * 2 + [
        "2026-07-15T18:00Z"
    ] * 3
    errors = [f["error_gco2_per_kwh"] for f in answer["forecasts"]]
    step = 0.1 * (1000.1 - 450.7)
    assert errors[:4] == pytest.approx([-step, 2 * step, 0, -step])
    assert errors[4] is None
    summary = answer["summary"]
    assert (summary["n"], summary["n_observed"]) == (5, 4)
    assert summary["mae_gco2_per_kwh"] == pytest.approx(step)
    assert summary["bias_gco2_per_kwh"] == pytest.approx(0, abs=1e-9)
    table = run(*asked).out
    assert "5 forecasts of US-ERCO, 4 observed by regression" in table
    only = run(*asked[:5], "--data-dir", tmp_path, "--json").json()
    assert only["summary"]["n"] == 2  # one hour after --issued-from


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("recalibrate", "US-ERC"), "did you mean: US-ERCO"),
        (("recalibrate", "US-ERCO", "--data-dir", "/not/there"), "no ledger"),
        (("recalibrate", "US-ERCO", "--force"), "--reason"),
        (("recalibrate", "US-ERCO", "--force", "--reason", "  "), "--reason"),
        (("recalibrate", "US-ERCO", "--reason", "because"), "--force"),
        (("recalibrate", "US-ERCO", "--from", "2026-07-01T00:00Z"), "--to"),
        (("recalibrate", "US-ERCO", "--from", "2026-07-01T00:00", "--to", "2026-08-01T00:00Z"), "UTC offset"),
        (("declare", "US-ERC", *SAID), "did you mean: US-ERCO"),
        (("declare", "US-ERCO", *SAID[:4]), "--note"),
        (("declare", "US-ERCO", *SAID[:4], "--note", " "), "note"),
        (("declare", "US-ERCO", "--what", "weather", *SAID[2:]), "market-rule"),
        (("declare", "US-ERCO", "--what", "fleet", "--from", "2026-07-01T00:00", *SAID[4:]), "UTC offset"),
        (("ledger", "forecasts", "US-ERC", "--issued-from", AT), "did you mean: US-ERCO"),
        (("ledger", "forecasts", "US-ERCO", "--issued-from", "2026-07-15T18:15"), "UTC offset"),
        (("ledger", "forecasts", "US-ERCO", "--issued-from", AT, "--issued-to", "2026-07-15T18:00Z"), "not after"),
        (("ledger", "forecasts", "US-ERCO", "--issued-from", AT, "--data-dir", "/not/there"), "no ledger"),
    ],
)  # fmt: skip
def test_what_the_user_can_mend_is_one_message_and_exit_code_2(arguments, says, tmp_path, monkeypatch):
    """Nothing on standard output, one line on standard error, nothing left behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRIDMARGIN_HOME", str(tmp_path / "home"))
    ran = run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.count("\n") == 1, ran.err
    assert says in ran.err
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_without_forecasts_says_so(home):
    """The message names the stretch and the way out."""
    ran = run("ledger", "forecasts", "US-ERCO", "--issued-from", AT, "--data-dir", home)
    assert ran.code == 2
    assert "widen --issued-from" in ran.err
