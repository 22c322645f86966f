"""The command line: good answers parse, and what the user can mend is one message with exit code 2."""

import json
import math
import socket

import pytest

from gridmargin.interfaces.cli import main
from gridmargin.marginal import ESTIMATORS
from interfaces.command_line import priced, run

TIME = "2026-07-15T18:15:00Z"
ACCOUNT = ("--zone", "US-ERCO", "--device", "H100", "--model", "llama-3.1-8b", "--source", "reference")


def test_account_gives_the_promised_totals_and_stamps_the_alignment(tmp_path):
    """Totals carry requests, energy, both kinds of grams and the conservation error; each receipt its alignment."""
    answer = priced(tmp_path, "--align-to", "2026-08-01T00:00Z").json()
    totals = answer["totals"]
    assert totals["requests"] == 6
    assert totals["energy_j"] > 0
    grams = totals["marginal_gco2"]
    assert 0 <= grams["low"] < grams["mid"] < grams["high"]
    assert totals["average_gco2"]["mid"] > 0
    assert abs(totals["conservation_error"]) < 1e-9
    import pyarrow.parquet as pq

    (file,) = (tmp_path / "out").glob("receipts/*/*/*.parquet")
    assert set(pq.ParquetFile(file).read(["alignment"])["alignment"].to_pylist()) == {
        "first arrival moved to 2026-08-01T00:00Z"
    }


def test_zones_now_and_ledger_answer_in_json(tmp_path):
    """Each of them prints one JSON object; a moment before anything was known has no entries."""
    assert any(z["id"] == "US-ERCO" for z in run("zones", "--source", "reference", "--json").json()["zones"])
    home = ("--data-dir", tmp_path)
    now = run("now", "US-ERCO", "--at", TIME, "--source", "reference", *home, "--json").json()
    assert now["marginal"]
    assert now["average"]["kind"] == "average"
    shown = run("ledger", "show", "US-ERCO", "--start", TIME, *home, "--json").json()
    assert shown["entries"]
    before = run("ledger", "as-of", "US-ERCO", "2020-01-01T00:00Z", "--start", TIME, *home, "--json").json()
    assert before["entries"] == []
    whole = ("--start", now["interval"]["start_utc"], "--end", now["interval"]["end_utc"])
    again = run("ledger", "refresh", "US-ERCO", *whole, "--source", "reference", *home, "--json").json()
    assert again["zone"] == "US-ERCO"
    assert again["n_new"] == 0  # typical days do not change


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("now", "US-ERC"), "did you mean: US-ERCO"),
        (("now", "US-ERCO", "--at", "2026-07-15T18:15:00"), "UTC offset"),
        (("now", "US-ERCO", "--source", "carrier-pigeon"), "use auto, live, reference, or recorded:DIR"),
        (("now", "US-ERCO", "--source", "recorded:/not/there"), "no such folder"),
        (
            ("ledger", "show", "US-ERCO", "--start", TIME, "--end", "2026-07-15T17:15Z", "--data-dir", "."),
            "2026",
        ),
        (("ledger", "show", "US-ERCO", "--start", "2026-07-15T17:15", "--data-dir", "."), "UTC offset"),
        (("ledger", "show", "US-ERCO", "--start", TIME, "--data-dir", "/not/there"), "no ledger"),
        (("account", "gone.csv", *ACCOUNT, "--out", "x"), "no such file"),
        (("account", "gone.csv", *ACCOUNT, "--out", "x", "--device", "H1000"), "H100"),
        (("account", "gone.csv", *ACCOUNT, "--out", "x", "--model", "llama"), "llama-3.1-8b"),
        (("account", "gone.csv", *ACCOUNT, "--out", "x", "--estimator", "average"), "regression"),
        (("account", "gone.csv", *ACCOUNT, "--out", "x", "--site", "help"), "hyperscale"),
        (("account", "gone.csv", *ACCOUNT, "--out", "x", "--align-to", "2026-07-15"), "UTC offset"),
        (("backtest", "nonsense", "--data", "."), "ercot"),
        (("backtest", "ercot", "--data", "/not/there"), "no such folder"),
        (("explain", "r0000000000-2", "--out", "."), "no receipt"),
        (("up", "--host", "0.0.0.0"), "GRIDMARGIN_API_KEY"),
        (("bogus",), "--help"),
        (("account",), "REQUESTS"),
        (("now", "US-ERCO", "--colour"), "--colour"),
        (("up", "--port", "70000"), "65535"),
    ],
)
def test_what_the_user_can_mend_is_one_message_and_exit_code_2(arguments, says, tmp_path, monkeypatch):
    """Nothing on standard output, one line on standard error, nothing left behind; with --json the one shape."""
    monkeypatch.chdir(tmp_path)
    ran = run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.count("\n") == 1, ran.err
    assert says in ran.err
    assert list(tmp_path.iterdir()) == []
    shape = json.loads(run(*arguments, "--json").err)["error"]
    assert set(shape) == {"code", "message", "way_out"}


def test_a_port_in_use_is_said(tmp_path):
    """The message names the address and the way out."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = run("up", "--port", taken.getsockname()[1], "--source", "reference", "--data-dir", tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert "give another --host or --port" in ran.err


@pytest.mark.parametrize(("name", "value"), [("API_KEY", "short"), ("DATA", "/not/there")])
def test_a_bad_environment_variable_is_named(name, value, monkeypatch):
    """The message names the variable."""
    monkeypatch.setenv(f"GRIDMARGIN_{name}", value)
    ran = run("now", "US-ERCO")
    assert ran.code == 2
    assert f"GRIDMARGIN_{name}" in ran.err


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (OSError(28, "No space left on device", "/data/x"), 2, "free some space"),
        (PermissionError(13, "Permission denied", "/data/x"), 2, "/data/x: Permission denied"),
        (EOFError("Compressed file ended"), 2, "cut short"),
        (KeyError("surprise"), 70, "please report it"),
    ],
)
def test_no_failure_shows_a_traceback_unless_asked(error, code, says, monkeypatch):
    """Files end in exit code 2, defects in 70; GRIDMARGIN_DEBUG=1 lets the error through."""

    def fails(*_arguments):
        raise error

    monkeypatch.setattr("gridmargin.interfaces.cli.grid_commands.zones", fails)
    monkeypatch.setattr("sys.argv", ["gridmargin", "zones"])
    ran = run("zones")
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.strip().count("\n") == 0
    assert says in ran.err
    monkeypatch.setenv("GRIDMARGIN_DEBUG", "1")
    if code == 70:
        with pytest.raises(KeyError):
            main()


def test_an_out_that_is_a_file_and_a_bad_log_leave_nothing(tmp_path):
    """A refused log leaves no folder; a file in the way stays as it is."""
    log = tmp_path / "requests.csv"
    log.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n2026-07-15T18:15:00Z,-1,3\n")
    ran = run("account", log, *ACCOUNT, "--out", tmp_path / "out")
    assert ran.code == 2
    assert "row 2" in ran.err
    assert not (tmp_path / "out").exists()
    assert "is a file" in run("account", log, *ACCOUNT, "--out", log).err


def explained(folder, receipt):
    return run("explain", receipt, "--out", folder / "out", "--json")


def test_a_factor_of_another_version_is_named_and_not_estimated_again(tmp_path, monkeypatch):
    """A stored fit is read by the version that made it only: the step does not close and says who can."""
    receipt = priced(tmp_path).json()["example_receipts"][0]
    for name in ESTIMATORS:
        monkeypatch.setattr(type(ESTIMATORS.get(name)()), "version", "99")
    ran = explained(tmp_path, receipt)
    answer = json.loads(ran.out)
    assert ran.code == 1
    (again,) = [step for step in answer["steps"] if step["title"].startswith("estimated again")]
    assert not answer["closes"]
    assert not again["closes"]
    assert "and this is 99: estimate again with the gridmargin that wrote it" in json.dumps(again)


def test_explain_closes_and_sees_tampering(tmp_path):
    """Range, average and hash are steps; altered grams, payload, or log are seen, and a moved folder still explains."""
    summary = priced(tmp_path).json()
    receipt = summary["example_receipts"][0]
    answer = explained(tmp_path, receipt).json()
    assert answer["closes"]
    titles = " ".join(step["title"] for step in answer["steps"])
    for wanted in (
        "range, low",
        "range, high",
        "average, beside it",
        "hash, entry",
        "estimated again",
        "step fixed",
    ):
        assert wanted in titles
    assert answer["unverified"] == []
    (tmp_path / "requests.csv").write_text("changed\n1\n")
    changed = explained(tmp_path, receipt).json()
    assert changed["steps"][0]["cells"] == []
    assert "no longer there or has changed" in changed["steps"][0]["detail"]
    assert {"request", "step fixed", "loaded idle"} <= set(changed["unverified"])
    (tmp_path / "out").rename(tmp_path / "moved")
    assert run("explain", receipt, "--out", tmp_path / "moved", "--json").json()["closes"]
    for path in (tmp_path / "moved" / "work" / "archive").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    tampered = run("explain", receipt, "--out", tmp_path / "moved", "--json")
    assert tampered.code == 1
    assert "altered" in tampered.out


ALTERED = {
    "marginal_gco2": "grams",
    "step_fixed_j": "step fixed",
    "loaded_idle_j": "loaded idle",
    "marginal_energy_j": "marginal energy",
    "marginal_factor_high_gco2": "factor, high",
    "marginal_energy_low_gco2": "energy, low",
    "marginal_overhead_high_gco2": "overhead, high",
}


@pytest.mark.parametrize("column", ALTERED)
def test_an_altered_receipt_does_not_close(tmp_path, column):
    """A figure written over in the Parquet file no longer follows from what it was made of."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    receipt = priced(tmp_path).json()["example_receipts"][0]
    (file,) = (tmp_path / "out").glob("receipts/*/*/*.parquet")
    table = pq.ParquetFile(file).read()
    at = table.schema.get_field_index(column)
    pq.write_table(table.set_column(at, table.schema.field(at), pc.multiply(table[column], 0.9)), file)
    answer = explained(tmp_path, receipt)
    assert answer.code == 1
    open_steps = [s["title"] for s in json.loads(answer.out)["steps"] if s["closes"] is False]
    assert ALTERED[column] in open_steps
    assert not math.isnan(sum(s["value"] or 0 for s in json.loads(answer.out)["steps"]))


def test_figures_are_not_cut_off_in_a_narrow_terminal(tmp_path, monkeypatch):
    """Tables run on rather than lose a digit."""
    monkeypatch.setenv("COLUMNS", "60")
    answer = run("now", "US-ERCO", "--at", TIME, "--source", "reference", "--data-dir", tmp_path)
    assert "…" not in answer.out
    assert "marginal, regression" in answer.out


@pytest.mark.parametrize(
    "rows",
    ["9999-12-31T23:59:59Z,5,5", "0001-01-01T00:00:00+05:00,5,5", "1969-07-20T20:17:00Z,5,5"],
)
def test_a_time_that_no_grid_can_answer_is_refused_by_row(tmp_path, rows):
    """Years that cannot be are bad input, not a defect."""
    log = tmp_path / "log.csv"
    log.write_text(f"TIMESTAMP,ContextTokens,GeneratedTokens\n{rows}\n")
    ran = run("account", log, *ACCOUNT, "--out", tmp_path / "out")
    assert ran.code == 2
    assert "row 2" in ran.err
    assert "lies outside the years" in ran.err
    assert run("now", "US-ERCO", "--at", rows.partition(",")[0], "--source", "reference").code == 2


def test_a_log_of_two_models_is_refused_and_another_models_log_is_said(tmp_path):
    """Each model runs on devices of its own; the model asked for is the one that is priced, and the log's is told."""
    log = tmp_path / "log.csv"
    head = "TIMESTAMP,ContextTokens,GeneratedTokens,model\n"
    log.write_text(head + "2026-07-15T18:14:01Z,5,5,llama-3.1-8b\n2026-07-15T18:14:02Z,5,5,gpt-oss-20b\n")
    ran = run("account", log, *ACCOUNT, "--out", tmp_path / "out")
    assert ran.code == 2
    assert "row 3 says 'gpt-oss-20b'" in ran.err
    log.write_text(head + "2026-07-15T18:14:01Z,5,5,gpt-oss-20b\n")
    other = run("account", log, *ACCOUNT, "--out", tmp_path / "out", "--json").json()
    assert any("names the model 'gpt-oss-20b'" in note for note in other["notes"])
    log.write_text(head + "2026-07-15T18:14:01Z,5,5,Llama-3.1-8B\n")
    same = run("account", log, *ACCOUNT, "--out", tmp_path / "out", "--json").json()
    assert not any("names the model" in note for note in same["notes"])


def test_rows_of_json_lines_count_from_one(tmp_path):
    """The first line of a file without a header is row 1, in receipts and in messages."""
    log = tmp_path / "log.jsonl"
    good = '{"arrival": "2026-07-15T18:14:01Z", "prompt_tokens": 5, "generated_tokens": 5}\n'
    log.write_text(good * 2)
    summary = run("account", log, *ACCOUNT, "--out", tmp_path / "out", "--json").json()
    receipt = summary["example_receipts"][0]
    assert receipt.endswith("-1")
    assert "row 1 of log.jsonl" in run("explain", receipt, "--out", tmp_path / "out").out
    log.write_text(good + good.replace('"generated_tokens": 5', '"generated_tokens": -5'))
    assert "row 2" in run("account", log, *ACCOUNT, "--out", tmp_path / "new").err


def test_the_same_log_on_other_factors_is_another_run(tmp_path):
    """Receipts that were handed out are never replaced by others under the same id."""
    first = priced(tmp_path).json()
    again = priced(tmp_path).json()
    assert again["run_id"] == first["run_id"]
    log = tmp_path / "requests.csv"
    other = run(
        "account", log, *ACCOUNT, "--out", tmp_path / "out", "--estimator", "fleet_curve", "--json"
    ).json()
    assert other["run_id"] != first["run_id"]
    assert explained(tmp_path, first["example_receipts"][0]).json()["closes"]


def test_a_typical_day_is_not_called_observed(tmp_path):
    """Nothing of the interval was seen: the view says so, and so does the summary."""
    now = run(
        "now", "US-ERCO", "--at", TIME, "--source", "reference", "--data-dir", tmp_path, "--json"
    ).json()
    assert {estimate["basis"]["view"] for estimate in [*now["marginal"], now["average"]]} == {"typical"}
    assert any("typical day" in note for note in priced(tmp_path).json()["notes"])


def test_garbage_named_csv_is_bad_input(tmp_path):
    """Bytes that are no text table end in one message."""
    log = tmp_path / "log.csv"
    log.write_bytes(bytes(range(256)) * 40)
    ran = run("account", log, *ACCOUNT, "--out", tmp_path / "out")
    assert ran.code == 2
    assert "write it again" in ran.err
    assert "is a folder" in run("account", tmp_path, *ACCOUNT, "--out", tmp_path / "out").err


def test_a_report_is_not_written_over_a_folder(tmp_path):
    """And nothing is left beside it."""
    (tmp_path / "data").mkdir()
    ran = run("backtest", "ercot", "--data", tmp_path / "data", "--out", tmp_path / "data")
    assert ran.code == 2
    assert "is a folder" in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.data
def test_typical_days_never_answer_for_recorded_ones(tmp_path, data_dir):
    """One data folder, both sources, in either order: each answers with its own entries."""
    asked = ("now", "US-CISO", "--at", "2022-07-01T12:10Z", "--json")
    recorded = ("--source", f"recorded:{data_dir}")

    def mid(home, *source):
        answer = run(*asked, *source, "--data-dir", tmp_path / home).json()
        return [e["factor_gco2_per_kwh"]["mid"] for e in [*answer["marginal"], answer["average"]]]

    typical, real = mid("a", "--source", "reference"), mid("a", *recorded)
    assert mid("b", *recorded) == real != typical
    assert mid("b", "--source", "reference") == typical


@pytest.mark.data
def test_a_moment_that_the_record_does_not_hold_is_refused_with_its_span(tmp_path, data_dir):
    """Asked for by name it is refused on either side; only the present may be answered by another year."""
    asked = (
        "now",
        "US-ERCO",
        "--source",
        f"recorded:{data_dir}/grid/ercot_fuelmix_15min_2019_2020",
        "--data-dir",
        tmp_path,
    )
    for moment in ("1990-01-01T00:00Z", "2030-01-05T18:15Z"):
        ran = run(*asked, "--at", moment)
        assert ran.code == 2
        assert "2019-01-01T06:00Z to 2021-01-01T06:00Z" in ran.err
    present = run(*asked, "--json").json()
    assert "answered with the record of" in present["note"]
    assert present["status"] == "imputed"


def test_a_backtest_takes_the_data_folder_of_the_environment_and_names_a_task_it_does_not_know(
    tmp_path, monkeypatch
):
    """A misspelt task is told first; then that no tables were given; a folder of the environment is looked in."""
    monkeypatch.delenv("GRIDMARGIN_DATA", raising=False)
    assert "engine-steps" in run("backtest", "engine-step").err
    ran = run("backtest", "engine-steps")
    assert ran.code == 2
    assert "give --data DIR, or set GRIDMARGIN_DATA" in ran.err
    monkeypatch.setenv("GRIDMARGIN_DATA", str(tmp_path))
    ran = run("backtest", "engine-steps")
    assert ran.code == 2
    assert "engine_4hz" in ran.err
