"""`account --charge`, outcomes and work units, at the command line and over REST."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from engine_run import Run, engine_run
from interfaces.command_line import Ran, run

ACCOUNT = ("--zone", "US-ERCO", "--device", "H100", "--source", "reference")
PARTS = ("prefill", "decode", "work", "step_fixed", "loaded_idle", "provisioned_idle")


@pytest.fixture
def served(tmp_path: Path) -> Run:
    return engine_run(tmp_path, n=20, seconds=60.0)


def account(log: Path, *more: object, model: str = "llama-3.1-8b", as_json: bool = True) -> Ran:
    form = ("--json",) if as_json else ()
    return run("account", log, *ACCOUNT, "--model", model, "--out", log.parent / "out", *more, *form)


def receipts(log: Path, run_id: str) -> pl.DataFrame:
    return pl.read_parquet(list((log.parent / "out").glob(f"receipts/*/*/{run_id}.parquet")))


def explained(log: Path, receipt: str) -> dict:
    return run("explain", receipt, "--out", log.parent / "out", "--json").json()


@pytest.mark.parametrize(("charge", "n"), [("own", 3), ("step", 4), ("loaded", 5), ("provisioned", 6)])
@pytest.mark.parametrize("by_meter", [False, True])
def test_a_policy_charges_its_parts_and_keeps_all_of_them(
    served: Run, charge: str, n: int, by_meter: bool
) -> None:
    """The parts do not depend on the policy, what is charged and its grams do; the trail closes."""
    more = ("--steps", served.steps, "--meter", served.meter, "--meter-every", 0.5) if by_meter else ()
    answer = account(served.log, *more, "--charge", charge).json()
    usual = account(served.log, *more).json()
    assert (answer["run_id"] == usual["run_id"]) == (charge == "loaded")
    assert answer["manifest"]["charge"] == charge
    assert answer["manifest"]["charged"] == list(PARTS[:n])
    assert answer["energy_parts_j"] == pytest.approx(usual["energy_parts_j"], rel=1e-12)
    totals, parts = answer["totals"], answer["energy_parts_j"]
    assert totals["energy_j"] == pytest.approx(sum(parts[part] for part in PARTS[:n]), rel=1e-9)
    assert sum(parts.values()) + totals["unattributed_j"] == pytest.approx(totals["meter_energy_j"], rel=1e-9)
    assert parts["provisioned_idle"] == pytest.approx(totals["provisioned_idle_j"], rel=1e-9)
    table = receipts(served.log, answer["run_id"])
    slices = table.select(
        pl.col("charged_energy_j"), pl.col("slices").list.eval(pl.element().struct["energy_j"]).list.sum()
    )
    assert slices["slices"].to_list() == pytest.approx(slices["charged_energy_j"].to_list(), rel=1e-9)
    trail = explained(served.log, answer["example_receipts"][0])
    assert trail["closes"]
    assert trail["unverified"] == []
    step = next(s for s in trail["steps"] if s["title"] == "provisioned idle")
    assert step["again"] == pytest.approx(step["value"])
    assert ("charged to nobody" in step["detail"]) == (charge != "provisioned")


def test_idle_that_no_step_is_a_key_to_stays_with_nobody(tmp_path: Path) -> None:
    """Two requests that end as they come and hold no token: an hour of idle between them, and nobody to allot it by."""
    log = tmp_path / "log.csv"
    log.write_text(
        "arrival,end,prompt_tokens,generated_tokens\n"
        "2026-07-15T18:14:00Z,2026-07-15T18:14:00Z,0,0\n2026-07-15T19:14:00Z,2026-07-15T19:14:00Z,0,0\n"
    )
    totals = account(log, "--charge", "provisioned").json()["totals"]
    assert totals["provisioned_idle_j"] == pytest.approx(3600 * 123)
    assert (totals["allotted_idle_j"], totals["energy_j"]) == (0, 0)


def test_what_is_not_charged_is_said(served: Run) -> None:
    said = account(served.log, "--charge", "own", as_json=False).out
    for part in ("step fixed", "loaded idle", "provisioned idle"):
        assert f"{part}, charged to nobody:" in said
    assert "charged to nobody" not in account(served.log, "--charge", "provisioned", as_json=False).out


def test_an_unknown_policy_is_refused_with_the_known(served: Run) -> None:
    ran = account(served.log, "--charge", "fair")
    assert ran.code == 2
    assert "unknown charging policy 'fair'; known: loaded, own, provisioned, step" in ran.err
    assert not (served.log.parent / "out").exists()


def test_requests_that_failed_are_charged_what_they_drew_and_labelled(served: Run) -> None:
    """The outcome changes no joule; it stands on the receipt and receipts add up by it."""
    usual = account(served.log).json()["totals"]["energy_j"]
    words = ["completed", "failed", "Canceled", "retried", ""] * 4
    log = pl.read_csv(served.log).with_columns(
        pl.Series("outcome", words), pl.Series("retry_of", [None, None, None, None, "q3"] * 4)
    )
    log.write_csv(served.log)
    answer = account(served.log).json()
    assert answer["totals"]["energy_j"] == pytest.approx(usual, rel=1e-12)
    rows = {row["outcome"]: row for row in answer["outcomes"]}
    assert {name: row["requests"] for name, row in rows.items()} == dict.fromkeys(
        ["completed", "failed", "cancelled", "retried", None], 4
    )
    assert sum(row["charged_energy_j"] for row in rows.values()) == pytest.approx(usual, rel=1e-9)
    assert rows["failed"]["charged_energy_j"] > 0
    table = receipts(served.log, answer["run_id"])
    assert table.filter(pl.col("outcome").is_null())["retry_of"].to_list() == ["q3"] * 4
    said = account(served.log, as_json=False).out
    assert "cancelled: 4 requests" in said
    assert "outcome not known: 4 requests" in said


def made_images(folder: Path, unit_j: float = 30.0) -> tuple[Path, Path, Path]:
    """Two requests of images: 20 denoising steps for one image, then for three, on a device of 100 W idle."""
    t0 = 1_784_139_240
    steps, counter = [], [100_000.0]
    for at in range(40):
        who, n = ("a", 1) if at < 20 else ("b", 3)
        steps.append(
            {
                "start_us": (t0 + at) * 1_000_000, "end_us": (t0 + at) * 1_000_000 + 900_000, "devices": ["gpu0"],
                "requests": [{"request_id": who, "work_units": n}],
            }
        )  # fmt: skip
        counter.append(counter[-1] + 100.0 + unit_j * n)
    log, file, meter = folder / "images.csv", folder / "images.jsonl", folder / "images_meter.csv"
    log.write_text(
        "request_id,arrival,prompt_tokens,generated_tokens\n"
        "a,2026-07-15T18:14:00Z,0,0\nb,2026-07-15T18:14:20Z,0,0\n"
    )
    file.write_text("".join(json.dumps(step) + "\n" for step in steps))
    pl.DataFrame({"time": range(41), "energy_j": counter}).select(
        (pl.lit(t0) + pl.col("time")).cast(pl.Int64).mul(1_000_000).cast(pl.Datetime("us", "UTC"))
        .dt.to_string("iso:strict").alias("time_utc"),
        "energy_j",
    ).write_csv(meter)  # fmt: skip
    return log, file, meter


def test_steps_without_tokens_are_priced_by_their_work_units(tmp_path: Path) -> None:
    """Images: a request of three pays three times the work of one, apart from decode; the profile is the model's own."""
    log, steps, meter = made_images(tmp_path)
    image = "sana1.5_1.6b_1024px_diffusers"
    answer = account(log, "--steps", steps, model=image).json()
    parts = answer["energy_parts_j"]
    assert (parts["prefill"], parts["decode"]) == (0, 0)
    profile = answer["manifest"]["profile"]
    assert parts["work"] == pytest.approx(80 * profile["j_per_work_unit"])
    assert answer["totals"]["work_units"] == 80
    assert answer["per_1k_tokens_gco2"] is None
    assert answer["per_work_unit_gco2"]["mid"] == pytest.approx(answer["totals"]["marginal_gco2"]["mid"] / 80)
    metered = account(log, "--steps", steps, "--meter", meter, "--meter-every", 1, model=image).json()
    table = receipts(log, metered["run_id"]).sort("request_id")
    assert table["work_units"].to_list() == [20, 60]
    assert table["work_j"][1] / table["work_j"][0] == pytest.approx(3, rel=0.02)
    assert metered["totals"]["meter_energy_j"] == pytest.approx(40 * 100 + 80 * 30)
    trail = explained(log, metered["example_receipts"][1])
    assert trail["closes"]
    assert "60 work units of its own" in next(s for s in trail["steps"] if s["title"] == "work")["detail"]
    said = account(log, "--steps", steps, model=image, as_json=False).out
    assert "per work unit:" in said


def test_a_model_without_tokens_needs_its_steps(tmp_path: Path) -> None:
    log, _, _ = made_images(tmp_path)
    ran = account(log, model="sana1.5_1.6b_1024px_diffusers")
    assert ran.code == 2
    assert "makes no tokens" in ran.err


def test_steps_on_an_instance_are_charged_from_its_board(served: Run) -> None:
    """The log of an engine on 3/7 of a board: the rest of the board's idle is nobody's, and the trail closes."""
    rows = [json.loads(line) | {"devices": ["GPU-0/MIG-1"]} for line in served.steps.read_text().splitlines()]
    served.steps.write_text("".join(json.dumps(row) + "\n" for row in rows))
    counter = pl.read_csv(served.meter).with_columns(pl.lit("GPU-0").alias("device"))
    counter.write_csv(served.meter)
    metered = ("--steps", served.steps, "--meter", served.meter, "--meter-every", 0.5)
    refused = account(served.log, *metered)
    assert refused.code == 2
    assert "GPU-0/MIG-1 is a part of GPU-0" in refused.err
    answer = account(served.log, *metered, "--instance", "GPU-0/MIG-1=3/7,4/8").json()
    totals = answer["totals"]
    assert totals["energy_j"] + totals["provisioned_idle_j"] + totals["unattributed_j"] == pytest.approx(
        served.whole_j, rel=1e-9
    )
    assert answer["manifest"]["meter"]["unused_j"] == pytest.approx(totals["unattributed_j"], rel=1e-6)
    assert answer["manifest"]["replay"]["mode"] == "board"
    assert any("are of none of their instances" in note for note in answer["notes"])
    assert explained(served.log, answer["example_receipts"][0])["closes"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("GPU-0/MIG-1", "write its name and its share"),
        ("MIG-1=3/7", "names no board"),
        ("g/a=9/7", "holds 1.28571"),
    ],
)
def test_an_instance_that_cannot_be_read_is_refused(served: Run, text: str, said: str) -> None:
    metered = ("--steps", served.steps, "--meter", served.meter, "--meter-every", 0.5)
    ran = account(served.log, *metered, "--instance", text)
    assert ran.code == 2
    assert said in ran.err


def test_an_instance_without_a_meter_is_refused(served: Run) -> None:
    ran = account(served.log, "--steps", served.steps, "--instance", "g/a=1/2")
    assert ran.code == 2
    assert "give the meter's trace" in ran.err
