"""Print `reference/profiles.csv`: step-form energy profiles, fitted to published measurements.

Usage: python tools/profiles.py --data DIR > src/gridmargin/reference/profiles.csv

DIR is the data folder that holds `inference/`. From the ML.ENERGY benchmark v3 (steady state, board power, chat task, one
GPU) each batch size B gives the energy of a step, `energy per output token × B`, and its duration, the inter-token time.
Less loaded idle, the step's energy is a straight line in B: its intercept is fixed per step, its slope is per decoded token.
Prefill is not separable there; it is taken from one H100 running Qwen3-8B (4 Hz engine counters beside board power)
in proportion to active parameters; a B200's prefill is taken as half of an H100's per token, which is an assumption, in
proportion to dense peak rates at the same precision. The fit error is leave-one-batch-size-out.
"""

import argparse
import csv
import re
import sys
from pathlib import Path

import numpy as np
import polars as pl
from scipy.optimize import nnls

LOADED_IDLE_W = {"H100": (123.0, "H100 running an engine without requests: first reading of the 4 Hz board power"),
                 "B200": (176.0, "as H100, in proportion to board power limits of 1000 W and 700 W")}  # fmt: skip
QWEN3_8B_ACTIVE_B = 8.19
STACK_LOW, STACK_HIGH = 1 - 0.64, 1 / 0.64 - 1
"""A newer serving stack alone took the same model and GPU to 0.55-0.73 of the energy: the middle of that, either way."""

COLUMNS = (
    "device",
    "model",
    "aliases",
    "active_params_b",
    "fixed_j_per_step",
    "j_per_prefill_token",
    "j_per_decode_token",
    "loaded_idle_w",
    "fixed_s_per_step",
    "s_per_prefill_token",
    "s_per_decode_token",
    "fit_error_frac",
    "energy_low_frac",
    "energy_high_frac",
    "n_batch_sizes",
    "stack",
    "use_by",
    "source",
    "as_of",
)


def prefill(data: Path) -> tuple[float, float]:
    """Seconds and joules per prefill token of Qwen3-8B on one H100, by least squares over 0.25 s windows."""
    folder = data / "inference/h100_engine_steps"
    engine, power = pl.read_csv(folder / "engine_4hz.csv"), pl.read_csv(folder / "power_4hz.csv")
    steps = engine.select(pl.all().diff()).drop_nulls()
    use = steps["iteration_count_total"].to_numpy() > 0
    counts = (
        steps.select("iteration_count_total", "prompt_tokens_total", "generation_tokens_total")
        .to_numpy()
        .astype(float)
    )
    seconds = np.linalg.lstsq(counts[use], steps["t_s"].to_numpy()[use], rcond=None)[0]
    # Board power is a one-second average: compare one-second windows of energy, idle taken off.
    edges = np.arange(1.0, min(engine["t_s"].max(), power["t_s"].max()) - 1, 1.0)
    at = lambda column, t: np.interp(t, engine["t_s"].to_numpy(), engine[column].to_numpy().astype(float))  # noqa: E731
    tokens = np.column_stack(
        [
            at(c, edges + 1) - at(c, edges)
            for c in ("iteration_count_total", "prompt_tokens_total", "generation_tokens_total")
        ]
    )
    watts = np.interp(edges + 1, power["t_s"].to_numpy(), power["power_w"].to_numpy())
    joules = nnls(tokens, np.maximum(watts - LOADED_IDLE_W["H100"][0], 0))[0]
    return float(seconds[1]), float(joules[1])


def line(batch: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Intercept and slope, neither negative, by relative least squares."""
    return nnls(np.column_stack([np.ones_like(batch), batch]) / value[:, None], np.ones_like(value))[0]


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, required=True)
    data = arguments.parse_args().data
    prefill_s, prefill_j = prefill(data)
    table = pl.read_csv(data / "inference/mlenergy_v3/mlenergy_v3_flat.csv", infer_schema_length=5000).filter(
        pl.col("energy_per_token_joules").is_not_null()
        & (pl.col("num_gpus") == 1)
        & pl.col("median_itl_ms").is_not_null()
    )
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    for (model, device), group in sorted(
        table.group_by("model", "gpu_model"), key=lambda item: item[0][::-1]
    ):
        tasks = group.group_by("task").len().sort("len", "task", descending=[True, False])["task"].to_list()
        task = "lm-arena-chat" if "lm-arena-chat" in tasks else tasks[0]
        rows = group.filter(pl.col("task") == task).sort("avg_batch_size")
        batch = rows["avg_batch_size"].to_numpy()
        if len(batch) < 5 or "VL" in model or "Omni" in model:
            continue
        idle_w = LOADED_IDLE_W[device][0]
        # A slot's token comes every B / throughput seconds: prefills that ran in between included.
        step_s = batch / rows["output_throughput_tokens_per_sec"].to_numpy()
        step_j = rows["energy_per_token_joules"].to_numpy() * batch - idle_w * step_s
        energy, seconds = line(batch, step_j), line(batch, step_s)
        errors = []
        for i in range(len(batch)):
            keep = np.arange(len(batch)) != i
            again = line(batch[keep], step_j[keep])
            errors.append(abs(again[0] + again[1] * batch[i] - step_j[i]) / (step_j[i] + idle_w * step_s[i]))
        error = float(np.quantile(errors, 0.9))
        active = float(rows["act"][0])
        scale = active / QWEN3_8B_ACTIVE_B * (1.0 if device == "H100" else 0.5)
        name = re.sub(r"-(Instruct|it)(-\d+)?$", "", model.split("/")[1], flags=re.IGNORECASE).lower()
        writer.writerow(
            [device, name, model, f"{active:g}", f"{energy[0]:.3g}", f"{prefill_j * scale:.3g}", f"{energy[1]:.3g}", f"{idle_w:g}",
             f"{seconds[0]:.3g}", f"{prefill_s * scale:.3g}", f"{seconds[1]:.3g}", f"{error:.3f}",
             f"{np.hypot(error, STACK_LOW):.3f}", f"{np.hypot(error, STACK_HIGH):.3f}", len(batch),
             "vLLM as benchmarked by ML.ENERGY v3", "2027-06-30",
             f"ML.ENERGY benchmark v3, {task}, 1 GPU (tools/profiles.py); idle: {LOADED_IDLE_W[device][1]}", "2025-12"]
        )  # fmt: skip


if __name__ == "__main__":
    main()
