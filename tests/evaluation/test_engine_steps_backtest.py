"""The backtest of engine steps: files as a run leaves them, a cost that is found again, and bad files named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gridmargin.evaluation import TASKS, Ask
from gridmargin.evaluation.engine_trace import context_of, read_trace
from gridmargin.interfaces.cli.backtest_commands import backtest
from gridmargin.vocab import InputError, TableError, TimeError, UnknownNameError

IDLE_W, FIXED_J, PREFILL_J, DECODE_J, CONTEXT_J = 95.0, 2.6, 0.02, 0.06, 2e-5
STEP_S = 0.0095


def simulate(length_s: float, seed: int, until_s: float):
    """Serve requests step by step; give the steps' ends, counters and joules, and the requests."""
    generator = np.random.default_rng(seed)
    arrivals = 3.0 + np.cumsum(generator.exponential(0.16, 4 * int(until_s / 0.16)))
    # As in a public run: idle at first, busy, and then a few at a time.
    slow = until_s + np.cumsum(generator.exponential(0.5, 4 * int(length_s)))
    arrivals = np.concatenate([arrivals[arrivals < until_s], slow[slow < length_s]])
    prompts = np.rint(generator.lognormal(5.0, 1.2, len(arrivals))).clip(2, 4000)
    outputs = np.rint(generator.lognormal(4.3, 0.9, len(arrivals))).clip(2, 600)
    now, nth, active, steps = 0.0, 0, [], []
    prompt_total = token_total = 0.0
    while now < length_s:
        took = 0.0
        while nth < len(arrivals) and arrivals[nth] <= now:
            active.append([prompts[nth], outputs[nth], 0.0])
            took += prompts[nth]
            nth += 1
        if not active:
            now = min(arrivals[nth] if nth < len(arrivals) else length_s, length_s)
            continue
        context = sum(own + age for own, _, age in active)
        seconds = STEP_S * (1 + len(active) / 150) + took * 2e-5
        joules = FIXED_J + PREFILL_J * took + DECODE_J * len(active) + CONTEXT_J * context
        prompt_total += took
        token_total += len(active)
        steps.append((now, now + seconds, prompt_total, token_total, len(active), joules))
        now += seconds
        for one in active:
            one[2] += 1
        active = [one for one in active if one[2] < one[1]]
    return np.array(steps), np.column_stack([prompts, outputs])


def write(
    folder: Path, length_s: float = 60.0, seed: int = 1, offset_s: float = 0.12, until_s: float = 44.0
) -> Path:
    """Write a run: counters and power at 4 Hz, power the mean of a second on a clock that is ahead."""
    steps, requests = simulate(length_s, seed, until_s)
    generator = np.random.default_rng(seed + 1)
    polls = np.arange(0.2, length_s, 0.2537)
    done = np.searchsorted(steps[:, 1], polls, side="right")
    idle = polls - np.concatenate([[0.0], steps[:, 1]])[done] > 0.1
    at = lambda column: np.concatenate([[0.0], steps[:, column]])[done]  # noqa: E731
    engine = ["t_s,num_requests_running,prompt_tokens_total,generation_tokens_total,iteration_count_total"]
    engine += [
        f"{t},{r:.0f},{p:.0f},{g:.0f},{i}"
        for t, r, p, g, i in zip(polls, np.where(idle, 0.0, at(4)), at(2), at(3), done, strict=True)
    ]
    total = np.concatenate([[0.0], np.cumsum(steps[:, 5])])
    total = np.column_stack([total[:-1], total[1:]]).ravel()
    edges = steps[:, :2].ravel()
    readings = np.arange(1.0, length_s, 0.25)
    watts = np.interp(readings, edges, total) - np.interp(readings - 1.0, edges, total) + IDLE_W
    watts += generator.normal(0, 1.5, len(watts))
    power = ["t_s,power_w", *(f"{t + offset_s},{w:.2f}" for t, w in zip(readings, watts, strict=True))]
    asked = ["input_tokens,output_tokens", *(f"{a:.0f},{b:.0f}" for a, b in requests)]
    folder.mkdir(parents=True)
    for name, lines in (("engine_4hz", engine), ("power_4hz", power), ("requests", asked)):
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("runs")
    write(made / "made-up-device")
    return made


@pytest.fixture(scope="module")
def report(runs):
    return TASKS.get("engine-steps")(Ask(runs))


def whole(report, estimator="step-cost"):
    return next(row for row in report["rows"] if row["estimator"] == estimator and "regime" not in row)


def test_an_unknown_device_is_foretold_to_a_percent(report) -> None:
    """A device with other costs than any profile: MAPE of the second half is within 1 %, in the drained tail 4 %."""
    assert whole(report)["mape"] <= 0.01
    tail = next(r for r in report["rows"] if r["estimator"] == "step-cost" and r.get("regime") == "low batch")
    assert tail["n"] >= 3
    assert tail["mape"] <= 0.04
    assert tail["baselines"]["token_proportional"]["mape"] > 0.3


def test_every_baseline_is_of_the_same_windows(report) -> None:
    """Token-proportional, constant and last value stand beside each row, and are worse."""
    for row in report["rows"]:
        assert set(row["baselines"]) == {"token_proportional", "constant", "last_value"}
    assert whole(report)["mape"] < 0.5 * min(b["mape"] for b in whole(report)["baselines"].values())


def test_the_clocks_are_stamped(report) -> None:
    """Offset and average of the meter are what the files were made with."""
    assert whole(report)["clock_offset_s"] == pytest.approx(0.12, abs=0.05)
    assert whole(report)["average_s"] == 1.0


def test_the_costs_are_found(report) -> None:
    """Loaded idle and the fixed cost of a step come back to a few per cent."""
    found = whole(report)["coefficients"]
    assert found["idle"] == pytest.approx(IDLE_W, rel=0.15)
    assert found["fixed"] == pytest.approx(FIXED_J, rel=0.08)


def test_the_fit_does_not_see_the_test(runs, tmp_path) -> None:
    """Power after the cut turned upside down leaves coefficients and offset as they were."""
    source = runs / "made-up-device"
    other = tmp_path / "made-up-device"
    other.mkdir()
    for name in ("engine_4hz.csv", "requests.csv"):
        (other / name).write_bytes((source / name).read_bytes())
    lines = (source / "power_4hz.csv").read_text().splitlines()
    half = len(lines) * 3 // 4
    turned = [f"{line.split(',')[0]},{900 - float(line.split(',')[1])}" for line in lines[half:]]
    (other / "power_4hz.csv").write_text("\n".join([*lines[:half], *turned]) + "\n")
    one, two = (whole(TASKS.get("engine-steps")(Ask(folder, train_s=30.0))) for folder in (runs, tmp_path))
    assert one["coefficients"] == two["coefficients"]
    assert one["clock_offset_s"] == two["clock_offset_s"]
    assert one["mape"] != two["mape"]


def test_the_context_is_that_of_the_simulator(runs) -> None:
    """Tokens attended to, found from counters and requests alone, are within 5 % of those that were simulated."""
    steps, _ = simulate(60.0, 1, 44.0)
    trace = read_trace(runs / "made-up-device")
    true = (steps[:, 5] - FIXED_J - DECODE_J * steps[:, 4]).sum()
    true -= PREFILL_J * steps[-1, 2]
    assert trace.steps.context_tokens.sum() == pytest.approx(true / CONTEXT_J, rel=0.05)


def test_requests_of_another_run_are_not_believed(runs) -> None:
    """Where the prompt counter is no sum of their prompts, the context is not known."""
    trace = read_trace(runs / "made-up-device")
    n = len(trace.steps) + 1
    engine = {
        "prompt_tokens_total": np.arange(n) * 7.0,
        "iteration_count_total": np.arange(n) * 30.0,
        "num_requests_running": np.full(n, 5.0),
    }
    assert context_of(engine, np.full(80, 100.0), np.full(80, 50.0)) is None


def test_without_requests_the_rest_still_works(runs, tmp_path) -> None:
    """No requests.csv: no attention-length term, and the cost is fitted all the same."""
    (tmp_path / "bare").mkdir()
    for name in ("engine_4hz.csv", "power_4hz.csv"):
        (tmp_path / "bare" / name).write_bytes((runs / "made-up-device" / name).read_bytes())
    row = whole(TASKS.get("engine-steps")(Ask(tmp_path)))
    assert row["coefficients"]["context"] == 0.0
    assert row["mape"] < 0.03


def broken(runs: Path, tmp_path: Path, name: str, change) -> Path:
    folder = tmp_path / "broken"
    folder.mkdir()
    for path in (runs / "made-up-device").iterdir():
        lines = path.read_text().splitlines()
        (folder / path.name).write_text("\n".join(change(lines) if path.name == name else lines) + "\n")
    return tmp_path


def swapped(lines, at):
    return [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]]


@pytest.mark.parametrize(
    ("name", "change", "error", "message"),
    [
        (
            "engine_4hz.csv",
            lambda x: [x[0].replace("iteration", "step"), *x[1:]],
            TableError,
            "no column 'iteration_",
        ),
        (
            "power_4hz.csv",
            lambda x: [x[0].replace("power_w", "watts"), *x[1:]],
            TableError,
            "no column 'power_w'",
        ),
        ("power_4hz.csv", lambda x: swapped(x, 10), TimeError, "row 12: t_s goes from"),
        (
            "engine_4hz.csv",
            lambda x: [*x[:30], x[30].rpartition(",")[0] + ",3", *x[31:]],
            TableError,
            "row 31: iteration_count_total falls",
        ),
        ("engine_4hz.csv", lambda x: [*x[:-1], x[-1][:6]], TableError, "cut short"),
        (
            "power_4hz.csv",
            lambda x: [*x[:20], "5.9,n/a", *x[21:]],
            TableError,
            "row 21, column power_w: 'n/a'",
        ),
        ("power_4hz.csv", lambda x: [*x[:20], "5.9,-3", *x[21:]], TableError, "row 21: -3 W"),
        ("power_4hz.csv", lambda x: [x[0], "900.0,300", "900.25,300"], InputError, "files of the same time"),
        ("power_4hz.csv", lambda x: x[:20], InputError, "to fit on"),
        ("engine_4hz.csv", lambda x: x[:1], TableError, "0 rows"),
    ],
)
def test_a_bad_file_is_named(runs, tmp_path, name, change, error, message) -> None:
    """A missing column, reversed time, a counter that falls, a truncated file, no overlap, too little of it."""
    with pytest.raises(error, match=message):
        TASKS.get("engine-steps")(Ask(broken(runs, tmp_path, name, change)))


def test_an_empty_cell_of_power_is_silence(runs, tmp_path) -> None:
    """Readings that are not there are left out, of the fit and of the test."""

    def change(lines):
        return [line.split(",")[0] + "," if 40 <= k < 45 else line for k, line in enumerate(lines)]

    row = whole(TASKS.get("engine-steps")(Ask(broken(runs, tmp_path, "power_4hz.csv", change))))
    assert row["mape"] <= 0.012


def test_no_run_and_an_unknown_run_are_refused(runs, tmp_path) -> None:
    """An empty folder, and a region that is no run."""
    with pytest.raises(InputError, match="a run is a folder with that file"):
        TASKS.get("engine-steps")(Ask(tmp_path))
    with pytest.raises(UnknownNameError, match="made-up-device"):
        TASKS.get("engine-steps")(Ask(runs, region="made-up-devise"))
    with pytest.raises(InputError, match="leave out `test_year`"):
        TASKS.get("engine-steps")(Ask(runs, test_year=2024))


@pytest.mark.data
def test_the_recorded_h100(data_dir) -> None:
    """Seconds 13 to 26 of the public run: MAPE within 1 %, token-proportional beyond 20 %."""
    row = whole(TASKS.get("engine-steps")(Ask(data_dir / "inference" / "h100_engine_steps")))
    assert row["mape"] <= 0.01
    assert row["baselines"]["token_proportional"]["mape"] > 0.2


def test_other_tasks_refuse_train_s(tmp_path) -> None:
    """A task that fits whole periods says that it has no use for the seconds of a run."""
    asked = dict.fromkeys(
        ("avert", "train_year", "test_year", "test_from", "test_to", "horizon_min", "region", "out")
    )
    with pytest.raises(InputError, match=r"backtest rts .* leave out `train_s`"):
        backtest("rts", tmp_path, train_s=5.0, **asked)
