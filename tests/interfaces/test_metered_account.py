"""`account --steps --meter`: joules that an engine and a meter say, against an engine whose every joule is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from engine_run import Run, engine_run
from interfaces.command_line import Ran, run

ACCOUNT = ("--zone", "US-ERCO", "--device", "H100", "--model", "llama-3.1-8b", "--source", "reference")


@pytest.fixture
def served(tmp_path: Path) -> Run:
    return engine_run(tmp_path)


def account(served: Run, *more: object) -> Ran:
    out = served.log.parent / "out"
    return run("account", served.log, *ACCOUNT, "--out", out, "--steps", served.steps, *more, "--json")


def metered(served: Run, *more: object) -> Ran:
    return account(served, "--meter", served.meter, "--meter-every", 0.5, *more)


def receipts(served: Run) -> pl.DataFrame:
    return pl.read_parquet(list((served.log.parent / "out").glob("receipts/*/*/*.parquet")))


def test_every_joule_of_the_meter_is_a_requests_or_idle(served: Run) -> None:
    totals = metered(served).json()["totals"]
    handed = totals["energy_j"] + totals["provisioned_idle_j"] + totals["unattributed_j"]
    assert handed == pytest.approx(served.whole_j, rel=1e-9)
    assert totals["meter_energy_j"] == pytest.approx(served.whole_j, rel=1e-9)
    assert totals["provisioned_idle_j"] == pytest.approx(served.between_j, rel=0.02)
    assert abs(totals["conservation_error"]) < 1e-9


def test_each_request_gets_nearly_its_true_share(served: Run) -> None:
    """The meter speaks every half second, fifty steps or so; a profile alone is far off in level."""
    metered(served).json()
    table = receipts(served)
    true = np.array([served.share_j[name] for name in table["request_id"]])
    off = np.abs(table["charged_energy_j"].to_numpy() / true - 1)
    assert np.median(off) < 0.01
    assert off.max() < 0.06
    assert set(table["status"]) == {"modelled"}  # the grid is a typical day


def test_a_receipt_of_a_metered_run_is_worked_out_again_from_its_files(served: Run) -> None:
    receipt = metered(served).json()["example_receipts"][1]
    answer = run("explain", receipt, "--out", served.log.parent / "out", "--json").json()
    assert answer["closes"]
    step = next(s for s in answer["steps"] if s["title"] == "prefill")
    assert step["again"] == pytest.approx(step["value"])
    assert "energy of the meter meter.csv" in step["detail"]
    served.meter.write_text(served.meter.read_text() + "\n")
    again = run("explain", receipt, "--out", served.log.parent / "out", "--json").json()
    assert "prefill" in again["unverified"]


def test_another_rule_is_another_run_with_the_same_total(served: Run) -> None:
    first = metered(served).json()
    second = metered(served, "--rule", "time_share").json()
    assert first["run_id"] != second["run_id"]
    assert second["totals"]["energy_j"] == pytest.approx(first["totals"]["energy_j"], rel=1e-9)
    own = metered(served, "--rule", "marginal").json()["totals"]
    assert own["energy_j"] < first["totals"]["energy_j"]
    assert own["energy_j"] + own["unattributed_j"] + own["provisioned_idle_j"] == pytest.approx(
        served.whole_j
    )


def test_a_run_is_named_by_what_its_files_say_and_not_by_where_they_lie(served: Run, tmp_path: Path) -> None:
    first = metered(served).json()["run_id"]
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    steps, meter = served.steps.rename(moved / "a.jsonl"), served.meter.rename(moved / "b.csv")
    out = tmp_path / "again"
    files = ("--steps", steps, "--meter", meter, "--meter-every", 0.5)
    ran = run("account", served.log, *ACCOUNT, "--out", out, *files, "--json").json()
    assert ran["run_id"] == first
    meter.write_text("\n".join(meter.read_text().splitlines()[:-1]) + "\n")  # a reading less
    assert run("account", served.log, *ACCOUNT, "--out", out, *files, "--json").json()["run_id"] != first


def test_without_a_meter_the_profile_says_what_the_steps_draw(served: Run) -> None:
    answer = account(served).json()
    assert answer["manifest"]["meter"]["name"] == "modelled"
    assert answer["manifest"]["replay"]["mode"] == "profile"
    assert answer["totals"]["energy_j"] > 0


def test_where_the_meter_is_silent_nothing_is_invented(served: Run) -> None:
    """Twenty seconds of a sampled-power trace are missing: less energy is handed out, and the gap is told."""
    counter = pl.read_csv(served.meter)
    power = counter.select(
        pl.col("time_utc").slice(1), (pl.col("energy_j").diff().slice(1) / 0.5).alias("power_w")
    ).with_row_index()
    power.filter(~pl.col("index").is_between(60, 100)).drop("index").write_csv(served.meter)
    answer = metered(served).json()
    assert answer["totals"]["meter_energy_j"] < served.whole_j
    assert any("the meter was silent for" in note for note in answer["notes"])


def test_a_request_that_no_step_names_drew_nothing_and_one_the_log_omits_stays_unattributed(
    served: Run,
) -> None:
    log = pl.read_csv(served.log)
    log = log.with_columns(
        pl.when(pl.col("request_id") == "q7").then(pl.lit("new")).otherwise("request_id").alias("request_id")
    )
    log.write_csv(served.log)
    answer = metered(served).json()
    table = receipts(served)
    assert table.filter(pl.col("request_id") == "new")["charged_energy_j"].to_list() == [0.0]
    assert answer["totals"]["unattributed_j"] == pytest.approx(served.share_j["q7"], rel=0.06)
    assert any("1 request(s) of the engine's steps are not in the log" in note for note in answer["notes"])


def test_a_meter_whose_clock_is_off_is_set_right_and_that_is_told(served: Run) -> None:
    """The meter's clock is 0.4 s fast: found to a twentieth of a second, and the shares are as good as before."""
    counter = pl.read_csv(served.meter)
    fast = pl.col("time_utc").str.to_datetime(time_zone="UTC") + pl.duration(milliseconds=400)
    counter.with_columns(fast.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").alias("time_utc")).write_csv(served.meter)
    answer = metered(served).json()
    assert answer["manifest"]["meter"]["clock_offset_s"]["gpu0"] == pytest.approx(0.4, abs=0.05)
    assert any("the meter's clock was set right by -0.4" in note for note in answer["notes"])
    table = receipts(served)
    true = np.array([served.share_j[name] for name in table["request_id"]])
    assert np.median(np.abs(table["charged_energy_j"].to_numpy() / true - 1)) < 0.02


def test_sampled_power_goes_through_the_sensor_of_its_family(served: Run) -> None:
    """A tenth of a second each: the whole is right to 2 %, and the range is the sensor's and wider than a counter's."""
    counter = pl.read_csv(served.meter)
    exact = metered(served).json()["manifest"]["meter"]
    at = counter["time_utc"].str.to_datetime(time_zone="UTC").dt.epoch("us").to_numpy() / 1e6
    reads = np.arange(at[0], at[-1], 0.1)
    power = np.diff(np.interp(reads, at, counter["energy_j"].to_numpy())) / 0.1
    times = pl.Series((reads[1:] * 1e6).round().astype(np.int64)).cast(pl.Datetime("us", "UTC"))
    pl.DataFrame({"time_utc": times.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"), "power_w": power}).write_csv(
        served.meter
    )
    answer = account(
        served, "--meter", served.meter, "--meter-every", 0.1, "--meter-field", "power.draw.instant"
    ).json()
    meter = answer["manifest"]["meter"]
    assert meter["energy_j"] == pytest.approx(served.whole_j, rel=0.02)
    assert meter["energy_low_frac"] > exact["energy_low_frac"]
    assert run("explain", answer["example_receipts"][0], "--out", served.log.parent / "out", "--json").json()[
        "closes"
    ]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--meter", "METER"), "give the period in seconds"),
        (("--rule", "fair"), "shapley"),
    ],
)
def test_what_does_not_fit_together_is_refused(served: Run, more: tuple[str, ...], said: str) -> None:
    ran = account(served, *(served.meter if word == "METER" else word for word in more))
    assert ran.code == 2
    assert said in ran.err
    assert not (served.log.parent / "out").exists()


def test_a_meter_or_a_rule_without_steps_is_refused(served: Run) -> None:
    for more in (("--meter", served.meter, "--meter-every", 1), ("--rule", "time_share")):
        ran = run("account", served.log, *ACCOUNT, "--out", served.log.parent / "out", *more)
        assert ran.code == 2
        assert "needs the engine's steps" in ran.err


def test_steps_of_a_device_without_a_meter_are_refused(served: Run) -> None:
    rows = [json.loads(line) for line in served.steps.read_text().splitlines()]
    served.steps.write_text("".join(json.dumps(row | {"devices": ["gpu0", "gpu1"]}) + "\n" for row in rows))
    ran = metered(served)
    assert ran.code == 2
    assert "no reading of gpu0, gpu1, which took steps" in ran.err


def test_a_log_without_ids_is_refused(served: Run) -> None:
    pl.read_csv(served.log).drop("request_id").write_csv(served.log)
    ran = metered(served)
    assert ran.code == 2
    assert "no column request_id" in ran.err
