"""A revised table supersedes; what was known before can still be asked for, and old receipts still explain (C9)."""

from datetime import UTC, date, datetime, timedelta

import numpy as np

from interfaces.command_line import run
from sources.payload_samples import CLOCKS, ercot_day, ercot_table

LOG = "TIMESTAMP,ContextTokens,GeneratedTokens\n2020-07-28T18:15:01Z,374,44\n2020-07-28T18:15:02Z,396,109\n"
START = "2020-07-28T18:15Z"
BASE_MWH = {"Coal": 2000, "Gas": 1000, "Gas-CC": 5000, "Nuclear": 1200, "Solar": 500, "Wind": 2000}


def write_month(folder, settlement, coal_frac):
    """Write July 2020 as ERCOT does; `coal_frac` is coal's part in following the load."""
    draw = np.random.default_rng(7)
    rows = []
    for number in range(31):

        def fill(fuel, clocks, load=draw.normal(0, 150, len(CLOCKS))):
            hours = np.arange(len(CLOCKS)) / 4
            swing = 800 * np.sin(2 * np.pi * (hours - 9) / 24) + load
            part = {"Coal": coal_frac, "Gas": 0.2, "Gas-CC": 0.8 - coal_frac}.get(fuel, 0.0)
            values = np.maximum(BASE_MWH.get(fuel, 10) + part * swing, 0).round(1)
            return dict(zip(CLOCKS, values.tolist(), strict=True))

        rows += ercot_day(date(2020, 7, 1) + timedelta(days=number), fill=fill, settlement=settlement)
    payload = ercot_table(rows)
    (folder / payload.name).write_bytes(payload.body)


def test_answers_before_and_after_a_revision_differ_as_they_should(tmp_path):
    """INITIAL is revised by FINAL: as-of gives each in its time, and the receipt priced before still closes."""
    data, out, home = tmp_path / "grid", tmp_path / "out", tmp_path / "home"
    data.mkdir()
    (tmp_path / "log.csv").write_text(LOG)
    write_month(data, "INITIAL", 0.1)
    account = (
        "account", tmp_path / "log.csv", "--zone", "US-ERCO", "--device", "H100", "--model", "llama-3.1-8b", "--out", out,
        "--source", f"recorded:{data}", "--data-dir", home, "--json",
    )  # fmt: skip
    first = run(*account).json()
    known = datetime.now(UTC).isoformat()
    shown = ("--start", START, "--end", "2020-07-28T18:30Z", "--data-dir", home, "--json")
    (before,) = run("ledger", "show", "US-ERCO", *shown).json()["entries"]
    write_month(data, "FINAL", 0.5)
    refreshed = run(
        "ledger", "refresh", "US-ERCO", "--start", "2020-07-28T17:00Z", "--end", "2020-07-28T20:00Z",
        "--source", f"recorded:{data}", "--data-dir", home, "--json",
    ).json()  # fmt: skip
    assert refreshed["n_new"] > 0
    (after,) = run("ledger", "show", "US-ERCO", *shown).json()["entries"]
    (then,) = run("ledger", "as-of", "US-ERCO", known, *shown).json()["entries"]
    assert then == before
    assert after["supersedes"] == before["entry_id"]
    assert (before["status"], after["status"]) == ("adjusted", "reported")
    assert after["factor_gco2_per_kwh"]["mid"] > before["factor_gco2_per_kwh"]["mid"] * 1.1
    second = run(*account).json()
    assert second["run_id"] != first["run_id"]
    assert second["totals"]["marginal_gco2"]["mid"] > first["totals"]["marginal_gco2"]["mid"] * 1.1
    for summary in (first, second):
        for receipt in summary["example_receipts"]:
            assert run("explain", receipt, "--out", out, "--json").json()["closes"]
