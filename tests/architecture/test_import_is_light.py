"""`import gridmargin` and the words every room shares load nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "alembic",
    "duckdb",
    "fastapi",
    "llvmlite",
    "numba",
    "numpy",
    "pandas",
    "polars",
    "pyarrow",
    "pydantic",
    "rich",
    "scipy",
    "sqlalchemy",
    "starlette",
    "typer",
    "uvicorn",
}


def loaded_after(statement: str) -> set[str]:
    """Run a statement in a fresh interpreter and list every module it loaded."""
    code = f"import sys, json\n{statement}\nprint(json.dumps(list(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return set(json.loads(out.splitlines()[-1]))


def heavy_after(statement: str) -> set[str]:
    """List the heavy packages that a statement loads."""
    return HEAVY & {name.split(".")[0] for name in loaded_after(statement)}


@pytest.mark.parametrize("statement", ["import gridmargin", "import gridmargin.vocab"])
def test_it_loads_nothing_heavy(statement: str) -> None:
    """A script that only names gridmargin does not wait for the table engines."""
    assert heavy_after(statement) == set()


def test_the_check_itself_sees_a_heavy_import() -> None:
    """Loading numpy shows."""
    assert heavy_after("import numpy") == {"numpy"}


@pytest.mark.parametrize("module", ["gridmargin.interfaces.cli", "gridmargin.wiring", "gridmargin.pipeline"])
def test_production_never_loads_the_exam(module: str) -> None:
    """Nothing that answers users imports the evaluation, however indirectly."""
    loaded = loaded_after(f"import {module}")
    assert module in loaded
    assert {name for name in loaded if name.startswith("gridmargin.evaluation")} == set()


SOLVERS = {"scipy", "sklearn", "highspy", "pyomo"}
CLIENTS = {"httpx2", "stamina", "apscheduler"}


def test_a_factor_is_given_without_solvers_and_learners(tmp_path: Path) -> None:
    """Whoever only asks what is on the margin does not wait for SciPy, a learner, a solver or a client to load."""
    asked = f"""
from contextlib import suppress
from gridmargin.interfaces.cli import main
import sys
from pathlib import Path
sys.argv = ["gridmargin", "now", "US-ERCO", "--source", "reference", "--json", "--data-dir", {str(tmp_path)!r}]
with suppress(SystemExit):
    main()
"""
    loaded = loaded_after(asked)
    assert "polars" in loaded
    assert {name for name in loaded if name.split(".")[0] in SOLVERS | CLIENTS} == set()
