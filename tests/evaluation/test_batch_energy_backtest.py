"""The backtest of energy by batch size: what was left out is not seen, and another stack is flagged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gridmargin.attribution import local_line, whole_line
from gridmargin.evaluation import TASKS, Ask
from gridmargin.vocab import InputError, TableError, UnknownNameError

HEADER = "model,gpu_model,num_gpus,task,prec,avg_batch_size,max_num_seqs,energy_per_token_joules,energy_per_request_joules"
SIZES = (8, 16, 32, 64, 128)


def lines(
    stack: str | None = None, factor: float = 1.0, noise: float = 0.02, n: int = 12, seed: int = 4
) -> list[str]:
    """Configurations that cost c0 + c1 / B per token, to the noise."""
    generator = np.random.default_rng(seed)
    found = []
    for k in range(n):
        c0, c1 = generator.uniform(0.02, 0.2), generator.uniform(2, 8)
        for size in SIZES:
            energy = (c0 + c1 / (size - 0.1)) * factor * np.exp(generator.normal(0, noise))
            row = f"m{k},H100,1,lm-arena-chat,bfloat16,{size - 0.1},{size},{energy},{energy * 300}"
            found.append(row + (f",{stack}" if stack else ""))
    return found


def write(folder: Path, rows: list[str], header: str = HEADER, name: str = "mlenergy_v3_flat.csv") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("\n".join([header, *rows]) + "\n")
    return folder


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    made = tmp_path_factory.mktemp("batch")
    rows = [*lines("vLLM 0.11"), *lines("vLLM 0.9", factor=1.45)[: 4 * len(SIZES)]]
    return TASKS.get("batch-energy")(Ask(write(made, rows, HEADER + ",stack")))


def test_a_line_in_one_over_b_is_found_exactly() -> None:
    """Without noise both lines give c0 + c1 / B at any size."""
    batch = np.array([8.0, 16, 32, 64])
    for line in (local_line, whole_line):
        assert line(batch, 0.05 + 3 / batch, 128.0) == pytest.approx(0.05 + 3 / 128)


def test_where_the_slope_changes_the_near_sizes_count() -> None:
    """A kernel that changes at 64 is followed by the local line and not by the whole one."""
    batch = np.array([8.0, 16, 32, 64, 256, 512, 1024])
    energy = np.where(batch < 64, 0.05 + 3 / batch, 0.02 + 5 / batch)
    true = 0.02 + 5 / 128
    local, whole = (abs(line(batch, energy, 128.0) / true - 1) for line in (local_line, whole_line))
    assert local < 0.5 * whole


@pytest.mark.parametrize(
    ("batch", "energy"), [([8.0], [1.0]), ([8.0, 0.0], [1.0, 1.0]), ([8.0, 16.0], [1.0, -1.0])]
)
def test_no_line_through_less_than_two(batch, energy) -> None:
    """One size, a batch of zero, and an energy below zero are refused."""
    with pytest.raises(InputError):
        local_line(np.array(batch), np.array(energy), 32.0)


def test_each_size_is_foretold_from_the_others(report) -> None:
    """Twelve configurations of five sizes: sixty predictions, off by the noise, nine in ten inside the range."""
    row = next(
        r for r in report["rows"] if r["reference"].startswith("energy per token") and "regime" not in r
    )
    assert row["n"] == 60
    assert row["n_configurations"] == 12
    assert row["median_error_frac"] < 0.04
    assert row["median_error_frac"] < row["baselines"]["nearest_size"]["median_error_frac"] / 3
    assert 0.84 <= row["coverage90"] <= 0.97


def test_another_stack_is_flagged_and_held_by_the_wider_range(report) -> None:
    """45 % more under another version: out of profile, inside the widened range, outside its own."""
    (row,) = [r for r in report["rows"] if r.get("out_of_profile")]
    assert row["regime"] == "vLLM 0.9"
    assert row["fit"] == "out of profile: fitted on vLLM 0.11"
    assert row["n"] == 20
    assert row["coverage90"] == 1.0
    assert row["in_profile_coverage90"] == 0.0
    assert row["change_frac"] == pytest.approx(0.45, abs=0.05)


def test_eight_to_sixty_four_is_printed_beside_the_article(report) -> None:
    """The change is the median of the configurations, and the note explains the article's figure by one doubling."""
    row = next(r for r in report["rows"] if r["estimator"] == "measured")
    assert row["baselines"]["article"]["change_frac"] == -0.35
    assert row["n"] == 12
    assert row["largest_fall_frac"] <= row["change_frac"] <= row["smallest_fall_frac"] < 0
    assert "the article says -35 %" in report["notes"][0]


def test_the_left_out_size_is_not_seen(tmp_path) -> None:
    """A size whose energy is a hundredfold moves its own error and leaves the prediction of it alone."""
    rows = lines(noise=0.0, n=3)
    spoiled = rows[2].split(",")
    spoiled[7] = str(float(spoiled[7]) * 100)
    changed = [*rows[:2], ",".join(spoiled), *rows[3:]]
    one, two = (
        TASKS.get("batch-energy")(Ask(write(tmp_path / name, some)))
        for name, some in (("a", rows), ("b", changed))
    )
    worst = [max(r["mae"] for r in each["rows"] if "mae" in r) for each in (one, two)]
    assert worst[0] < 1e-9
    assert worst[1] > 0.1


def test_without_another_stack_the_report_says_so(tmp_path) -> None:
    """No second version in the folder: no such row, and a note that says what would be read."""
    found = TASKS.get("batch-energy")(Ask(write(tmp_path, lines(n=2))))
    assert not [row for row in found["rows"] if row.get("out_of_profile")]
    assert any("no other stack version" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (lines(n=1), HEADER.replace("gpu_model", "gpu"), "no column 'gpu_model'"),
        (lines(n=1), HEADER.replace("energy_per_token_joules", "joules"), "no column of energy"),
        ([*lines(n=1)[:3], "m0,H100,1,lm-arena-chat,bfloat16,64"], HEADER, "row 5"),
        ([lines(n=1)[0].replace("7.9", "-7.9")], HEADER, "row 2"),
    ],
)
def test_a_bad_table_is_named(tmp_path, rows, header, message) -> None:
    """A missing column, a row cut short, and a batch size below zero each name their row."""
    with pytest.raises(TableError, match=message):
        TASKS.get("batch-energy")(Ask(write(tmp_path, rows, header)))


def test_too_few_sizes_and_unknown_devices_are_refused(tmp_path) -> None:
    """No table, none with four sizes, and a device that is not in it."""
    with pytest.raises(InputError, match="no table named"):
        TASKS.get("batch-energy")(Ask(tmp_path))
    write(tmp_path, lines(n=2)[:2])
    with pytest.raises(InputError, match="4 batch sizes"):
        TASKS.get("batch-energy")(Ask(tmp_path))
    with pytest.raises(UnknownNameError, match="H100"):
        TASKS.get("batch-energy")(Ask(tmp_path, region="H200"))


@pytest.mark.data
def test_the_recorded_benchmark(data_dir) -> None:
    """ML.ENERGY v3: median error within 5 % on H100 and 8 % on B200; another stack flagged and in its range."""
    found = TASKS.get("batch-energy")(Ask(data_dir / "inference"))
    for device, limit in (("H100", 0.05), ("B200", 0.08)):
        row = next(
            r for r in found["rows"]
            if r["region"] == device and r["reference"].startswith("energy per token") and "regime" not in r
        )  # fmt: skip
        assert row["median_error_frac"] <= limit
        assert 0.87 <= row["coverage90"] <= 0.93
    (other,) = [r for r in found["rows"] if r.get("out_of_profile")]
    assert other["coverage90"] == 1.0
