"""Print `reference/work_profiles.csv`: what a step without tokens costs, fitted to published measurements.

Usage: python tools/work_profiles.py --data DIR > src/gridmargin/reference/work_profiles.csv

DIR is the data folder that holds `inference/`. A diffusion model takes the same number of denoising steps for every
image or video of a batch, so from the ML.ENERGY benchmark v3 (steady state, board power, one device) each batch size B
gives the energy of a step, `energy per output × B ÷ steps`, and its duration, `latency of the batch ÷ steps`. Less
loaded idle, the step's energy is a straight line in B: its intercept is fixed per step, its slope is per work unit,
one denoising step of one output. What encodes the prompt and decodes the latents is spread over the steps.
"""

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
import polars as pl
from profiles import LOADED_IDLE_W, STACK_HIGH, STACK_LOW, line

FEWEST_BATCH_SIZES = 3

COLUMNS = (
    "device",
    "model",
    "aliases",
    "unit",
    "steps_per_output",
    "fixed_j_per_step",
    "j_per_work_unit",
    "loaded_idle_w",
    "fixed_s_per_step",
    "s_per_work_unit",
    "fit_error_frac",
    "energy_low_frac",
    "energy_high_frac",
    "n_batch_sizes",
    "stack",
    "use_by",
    "source",
    "as_of",
)


def unit_of(row: dict[str, float]) -> str:
    """Name the work unit: one denoising step of one output of a size."""
    if row["image_height"]:
        return f"one step of an image of {row['image_width']:.0f} x {row['image_height']:.0f}"
    return f"one step of a video of {row['video_width']:.0f} x {row['video_height']:.0f}, {row['num_frames']:.0f} frames"


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, required=True)
    data = arguments.parse_args().data
    table = pl.read_csv(data / "inference/mlenergy_v3/mlenergy_v3_flat.csv", infer_schema_length=None)
    table = table.filter(pl.col("inference_steps").is_not_null() & (pl.col("num_gpus") == 1)).with_columns(
        pl.coalesce("energy_per_image_joules", "energy_per_video_joules").alias("output_j")
    )
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    keys = ("model", "gpu_model", "task", "inference_steps", "image_height", "video_height", "num_frames")
    for (model, device, task, steps, *_), group in sorted(
        table.group_by(keys), key=lambda item: (item[0][1], item[0][0])
    ):
        rows = group.sort("batch_size")
        batch = rows["batch_size"].to_numpy()
        if len(batch) < FEWEST_BATCH_SIZES:
            continue
        idle_w, idle_source = LOADED_IDLE_W[device]
        step_s = rows["batch_latency_s"].to_numpy() / steps
        whole_j = rows["output_j"].to_numpy() * batch / steps
        step_j = whole_j - idle_w * step_s
        energy, seconds = line(batch, step_j), line(batch, step_s)
        errors = []
        for i in range(len(batch)):
            keep = np.arange(len(batch)) != i
            again = line(batch[keep], step_j[keep])
            errors.append(abs(again[0] + again[1] * batch[i] - step_j[i]) / whole_j[i])
        error = float(np.quantile(errors, 0.9))
        name = model.split("/")[1].lower()
        writer.writerow(
            [device, name, model, unit_of(rows.row(0, named=True)), f"{steps:g}", f"{energy[0]:.3g}", f"{energy[1]:.3g}",
             f"{idle_w:g}", f"{seconds[0]:.3g}", f"{seconds[1]:.3g}", f"{error:.3f}", f"{np.hypot(error, STACK_LOW):.3f}",
             f"{np.hypot(error, STACK_HIGH):.3f}", len(batch), "diffusers as benchmarked by ML.ENERGY v3", "2027-06-30",
             f"ML.ENERGY benchmark v3, {task}, 1 GPU (tools/work_profiles.py); idle: {idle_source}", "2025-12"]
        )  # fmt: skip


if __name__ == "__main__":
    main()
