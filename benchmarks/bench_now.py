"""`gridmargin now US-ERCO` as a whole process, and `import gridmargin`, against an empty Python.

    python benchmarks/bench_now.py [--data DIR]

Each process runs several times and the fastest counts. The ledger is warm: one run before has covered the hour. Byte
code is written first, into a folder of its own, as it is by any first run on a machine that allows it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from yardstick import DATA, Report

NOW_S, IMPORT_S = 1.0, 0.150
RUNS = 7


def fastest_s(arguments: list[str], environment: dict[str, str], runs: int = RUNS) -> float:
    """Run a Python process several times after one to warm up; give the fastest. [s]"""
    times = []
    for _ in range(runs + 1):
        start = perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment)
        times.append(perf_counter() - start)
    return min(times[1:])


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
            command = "from gridmargin.interfaces.cli import main; main()"
            arguments = [
                "-c",
                command,
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
    return report.exit_code()


if __name__ == "__main__":
    raise SystemExit(main())
