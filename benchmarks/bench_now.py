"""`gridmargin now US-ERCO` as a whole process, and `import gridmargin`, against an empty Python.

    python benchmarks/bench_now.py [--data DIR]

Each process runs several times and the fastest counts. The ledger is warm: one run before has covered the hour. Byte
code is written first, into a folder of its own, as it is by any first run on a machine that allows it.

Where there are recorded data each process then asks for another interval of one month, as a scheduler does: what was
learned for the month is kept, the interval is read and estimated. The same without what was kept stands beside it. So
does a forecast, issued at another time of the month.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from time import perf_counter

from yardstick import DATA, Report

from gridmargin.vocab import format_utc
from gridmargin.wiring import SourceChoice, source_for

NOW_S, FORECAST_S, IMPORT_S = 1.0, 2.0, 0.150
RUNS = 7
NEW_RUNS = 5
COMMAND = "from gridmargin.interfaces.cli import main; main()"


def fastest_s(arguments: list[str], environment: dict[str, str], runs: int = RUNS) -> float:
    """Run a Python process several times after one to warm up; give the fastest. [s]"""
    times = []
    for _ in range(runs + 1):
        start = perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment)
        times.append(perf_counter() - start)
    return min(times[1:])


def command_s(arguments: list[str], environment: dict[str, str]) -> float:
    """Run one command as a process of its own. [s]"""
    start = perf_counter()
    subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment
    )
    return perf_counter() - start


def other_intervals(
    report: Report, data: Path, folder: Path, zone: str, environment: dict[str, str], empty_s: float
) -> None:
    """Ask for one interval after another of the newest month, with the fits that were kept and without any."""
    source = source_for(SourceChoice("recorded", data, ""), zone)
    end, step = source.span(zone).end_utc, timedelta(seconds=source.interval_s(zone))
    where = ["--source", f"recorded:{data}", "--data-dir", str(folder)]

    def now_s(back: int) -> float:
        return command_s(["now", zone, "--at", format_utc(end - back * step), *where], environment)

    now_s(1)
    kept_s = min(now_s(back) for back in range(2, 2 + NEW_RUNS))
    learned = []
    for back in range(10, 10 + NEW_RUNS):
        shutil.rmtree(folder / "fits")
        learned.append(now_s(back))
    report.ratio(f"now {zone}, another interval / empty Python", kept_s, empty_s, "s")
    report.ratio(f"now {zone}, another interval / limit", kept_s, NOW_S, "s", at_most=1.0)
    report.ratio(
        f"now {zone}, another interval: fits kept / learned anew", kept_s, min(learned), "s", at_most=1.0
    )


def other_issues(report: Report, data: Path, folder: Path, zone: str, environment: dict[str, str]) -> None:
    """Issue one forecast after another in the newest month."""
    source = source_for(SourceChoice("recorded", data, ""), zone)
    end = source.span(zone).end_utc - timedelta(days=1)
    where = ["--source", f"recorded:{data}", "--data-dir", str(folder)]
    times = [
        command_s(["forecast", zone, "--at", format_utc(end - timedelta(hours=back)), *where], environment)
        for back in range(1 + NEW_RUNS)
    ]
    report.ratio(
        f"forecast {zone}, another issue of the month / limit", min(times[1:]), FORECAST_S, "s", at_most=1.0
    )
    report.ratio(f"forecast {zone}, another issue / the first", min(times[1:]), times[0], "s")


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--data", type=Path, default=DATA, metavar="DIR")
    data = asked.parse_args().data
    report = Report("polars", "typer")
    with tempfile.TemporaryDirectory() as folder:
        kept = {
            k: v
            for k, v in os.environ.items()
            if k != "PYTHONDONTWRITEBYTECODE" and not k.startswith("GRIDMARGIN_")
        }
        environment = kept | {"PYTHONPYCACHEPREFIX": f"{folder}/bytecode"}
        empty_s = fastest_s(["-c", "pass"], environment)
        import_s = fastest_s(["-c", "import gridmargin"], environment)
        report.ratio("import gridmargin / empty Python", import_s, empty_s, "s")
        report.ratio("import gridmargin / limit", import_s - empty_s, IMPORT_S, "s", at_most=1.0)
        sources = {"reference": "reference"}
        if (data / "grid").is_dir():
            sources["recorded"] = f"recorded:{data}"
        else:
            print(f"left out: recorded data, for there are none under {data}")
        for name, source in sources.items():
            arguments = [
                "-c",
                COMMAND,
                "now",
                "US-ERCO",
                "--source",
                source,
                "--data-dir",
                f"{folder}/{name}",
            ]
            now_s = fastest_s(arguments, environment)
            report.ratio(f"now US-ERCO, {name} / empty Python", now_s, empty_s, "s")
            report.ratio(f"now US-ERCO, {name} / limit", now_s, NOW_S, "s", at_most=1.0)
        if "recorded" in sources:
            for zone in ("US-ERCO", "DE"):
                other_intervals(report, data, Path(folder) / f"new-{zone}", zone, environment, empty_s)
            other_issues(report, data, Path(folder) / "issues", "DE", environment)
    return report.exit_code()


if __name__ == "__main__":
    raise SystemExit(main())
