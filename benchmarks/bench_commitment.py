"""Committing recorded fleets: how far from the best the proven and the fast path are at most, and how long they take.

    python benchmarks/bench_commitment.py [--data DIR] [--largest-only]

Start-up is left out: imports and compiling. Both schedules are judged by the independent check before they count.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from yardstick import DATA, Report

from gridmargin.evaluation.commitment import instance_rows
from gridmargin.grid.commitment_case import commitment_case
from gridmargin.sources.pglib_uc import parse_uc, uc_files

EXACT_S, EXACT_GAP = 300.0, 0.005
FAST_S, FAST_ABOVE = 2.0, 0.01


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--data", type=Path, default=DATA, metavar="DIR")
    asked.add_argument("--largest-only", action="store_true")
    options = asked.parse_args()
    report = Report("highspy", "numba", "scipy", "numpy")
    cases = [commitment_case(parse_uc(path.name, path.read_bytes())) for path in uc_files(options.data)]
    if not cases:
        return report.left_out(f"no unit-commitment instance under {options.data}")
    cases.sort(key=lambda case: case.n_units)
    for case in cases[-1:] if options.largest_only else cases:
        print(f"{case.name}: {case.n_units} units, {case.n_hours} h")
        fast, exact = instance_rows(case)
        print(f"  cost {fast['cost']:,.0f} fast, {exact['cost']:,.0f} exact, at least {exact['bound']:,.0f}")
        report.check("  exact, proven gap", exact["gap_frac"], "", at_most=EXACT_GAP)
        report.check("  exact, time", exact["seconds"], "s", at_most=EXACT_S)
        report.check("  fast, above exact", fast["above_exact_frac"], "", at_most=FAST_ABOVE)
        report.check("  fast, time", fast["seconds"], "s", at_most=FAST_S)
        report.check("  fast, proven gap", fast["gap_frac"], "")
    return report.exit_code()


if __name__ == "__main__":
    raise SystemExit(main())
