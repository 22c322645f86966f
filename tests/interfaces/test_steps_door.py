"""`gridmargin steps`: from what an engine recorded to a file that `account --steps` takes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from engine_run import engine_run
from engines.pages import T0, VLLM, added, recorded
from gridmargin.engines import ENGINES, read_steps
from interfaces.command_line import run

T0_US = int(T0.timestamp()) * 1_000_000

TWO = added(
    [
        (0, {"prompt": 900, "cached": 128, "generated": 300, "first": 5, "steps": 210, "running": 2}),
        (5, {"prompt": 400, "cached": 64, "generated": 61, "first": 2, "steps": 41, "running": 3}),
    ]
)


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    path = tmp_path / "pages.txt"
    path.write_text(recorded(VLLM, TWO))
    return path


def test_pages_become_a_file_and_the_answer_says_what_is_in_it(pages: Path, tmp_path: Path) -> None:
    out = tmp_path / "steps.parquet"
    answer = run(
        "steps", pages, "--engine", "vllm_metrics", "--out", out, "--devices", "gpu0, gpu1", "--json"
    ).json()
    told = {
        name: answer[name]
        for name in ("rows", "steps", "requests", "prefill_tokens", "cached_tokens", "decode_tokens")
    }
    assert told == {
        "rows": 1, "steps": 41, "requests": 0, "prefill_tokens": 336, "cached_tokens": 64, "decode_tokens": 59,
    }  # fmt: skip
    assert answer["interval"] == {"start_utc": "2026-07-15T18:14Z", "end_utc": "2026-07-15T18:14:05Z"}
    assert read_steps(out).groups == (("gpu0", "gpu1"),)


def test_people_are_told_what_is_missing(pages: Path, tmp_path: Path) -> None:
    """Notes on the record, and what this engine never says."""
    pages.write_text(pages.read_text() + "# time_utc 2026-07-15T18:14:10Z\n")
    ran = run("steps", pages, "--engine", "vllm_metrics", "--out", tmp_path / "s.jsonl")
    assert ran.code == 0
    shown = re.sub(r"\s+", " ", ran.out)
    assert "rows 1 of 41 steps" in shown
    assert "requests by id none are named" in shown
    assert "note: 1 of 3 pages do not have the counters; passed over" in shown
    assert "vllm_metrics does not tell: who they are" in shown


def test_a_clock_ahead_is_taken_off(pages: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.jsonl"
    answer = run("steps", pages, "--engine", "vllm_metrics", "--out", out, "--ahead", 1.5, "--json").json()
    assert answer["interval"]["start_utc"] == "2026-07-15T18:13:58.500000Z"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            ("--engine", "vlm_metrics", "--out", "s.jsonl"),
            "unknown engine 'vlm_metrics'; did you mean: vllm_metrics",
        ),
        (
            ("--engine", "tgi_metrics", "--out", "s.jsonl"),
            "check that tgi_metrics is the engine that wrote it",
        ),
        (("--engine", "vllm_metrics", "--out", "s.csv"), "s.csv: steps are written as .parquet or .jsonl"),
        (("--engine", "vllm_metrics", "--out", "pages.txt"), "is one of the files read"),
        (
            ("--engine", "vllm_metrics", "--out", "s.jsonl", "--devices", "gpu0,"),
            "--devices has an empty name",
        ),
        (
            ("--engine", "vllm_metrics", "--out", "s.jsonl", "--devices", "a", "--devices", "b"),
            "of 1 engines",
        ),
        (("--engine", "vllm_steps", "--out", "s.jsonl"), "pages.txt cannot be read"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(
    pages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = pages.read_text()
    ran = run("steps", "pages.txt", *more)
    assert ran.code == 2
    assert said in ran.err
    assert ran.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["pages.txt"]
    assert pages.read_text() == before


def test_what_vllm_wrote_prices_a_log_by_a_meter_under_the_logs_own_ids(tmp_path: Path) -> None:
    """Inside, vLLM puts a word before an id and eight signs behind it; the joules are those of the same steps."""
    served = engine_run(tmp_path)
    account = (
        "account", served.log, "--zone", "US-ERCO", "--device", "H100", "--model", "llama-3.1-8b", "--source", "reference",
        "--meter", served.meter, "--meter-every", 0.5,
    )  # fmt: skip
    plain = run(*account, "--steps", served.steps, "--out", tmp_path / "plain", "--json").json()["totals"]
    rows = [json.loads(line) for line in served.steps.read_text().splitlines()]
    for row in rows:
        for member in row["requests"]:
            member["request_id"] = f"cmpl-{member['request_id']}-0-0123abcd"
    inside = tmp_path / "vllm.jsonl"
    inside.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "steps.parquet"
    found = run(
        "steps",
        inside,
        "--engine",
        "vllm_steps",
        "--out",
        out,
        "--request-id",
        "cmpl-(.*)-0-[0-9a-f]{8}",
        "--json",
    )
    assert found.json()["requests"] == len(served.share_j)
    totals = run(*account, "--steps", out, "--out", tmp_path / "out", "--json").json()["totals"]
    assert totals["energy_j"] == pytest.approx(plain["energy_j"], rel=1e-12)
    assert totals["unattributed_j"] == pytest.approx(plain["unattributed_j"], abs=1e-6)
    table = pl.read_parquet(list((tmp_path / "out").glob("receipts/*/*/*.parquet")))
    assert set(table["request_id"]) == set(served.share_j)


def test_counters_without_ids_leave_the_meters_joules_unattributed(tmp_path: Path) -> None:
    """The energy is the meter's, nobody is charged for what nobody names, and nothing is lost."""
    served = engine_run(tmp_path)
    steps = read_steps(served.steps)
    edges_us = np.arange(int(steps.start_us.min()), int(steps.end_us.max()) + 1_000_000, 1_000_000)
    scrapes = []
    for now_us in edges_us:
        done = steps.end_us <= now_us
        totals = {
            "prompt": int(steps.prefill_tokens[done].sum()), "generated": int(steps.decode_tokens[done].sum()),
            "steps": int(done.sum()), "running": 1,
        }  # fmt: skip
        scrapes.append(((int(now_us) - T0_US) / 1e6, totals))
    pages = tmp_path / "pages.txt"
    pages.write_text(recorded(VLLM, scrapes))
    out = tmp_path / "steps.parquet"
    device = steps.groups[0][0]
    found = run(
        "steps", pages, "--engine", "vllm_metrics", "--out", out, "--devices", device, "--json"
    ).json()
    assert found["steps"] == len(steps)
    totals = run(
        "account", served.log, "--zone", "US-ERCO", "--device", "H100", "--model", "llama-3.1-8b", "--source", "reference",
        "--meter", served.meter, "--meter-every", 0.5, "--steps", out, "--out", tmp_path / "out", "--json",
    ).json()["totals"]  # fmt: skip
    assert totals["energy_j"] == 0
    assert totals["unattributed_j"] + totals["provisioned_idle_j"] == pytest.approx(
        totals["meter_energy_j"], rel=1e-9
    )
    assert totals["unattributed_j"] > 0.5 * served.whole_j


def test_an_unknown_engine_lists_the_known_ones(pages: Path, tmp_path: Path) -> None:
    ran = run("steps", pages, "--engine", "x", "--out", tmp_path / "s.jsonl")
    assert ran.code == 2
    assert all(name in ran.err for name in ENGINES)
