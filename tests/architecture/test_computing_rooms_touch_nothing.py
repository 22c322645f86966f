"""Rule 4: rooms marked "nothing" are plain calculation, and the clock and the environment have one reader."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

import pytest

from architecture.rooms import TABLE, Module, imports, is_ours, modules

CLOCK = (
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "datetime.date.today",
    "time.time",
    "time.time_ns",
    "time.localtime",
)
CLOCK_ROOMS = {"wiring", "interfaces"}

ENVIRONMENT = ("os.environ", "os.environb", "os.getenv")
ENVIRONMENT_ROOMS = {"wiring", "settings"}

OUTSIDE_MODULES = (
    "aiohttp",
    "alembic",
    "duckdb",
    "fastapi",
    "http",
    "httpx",
    "importlib.resources",
    "os",
    "pyarrow.csv",
    "pyarrow.dataset",
    "pyarrow.fs",
    "pyarrow.parquet",
    "random",
    "requests",
    "secrets",
    "shutil",
    "socket",
    "sqlalchemy",
    "sqlite3",
    "subprocess",
    "tempfile",
    "time",
    "urllib.request",
    "uuid",
)
OUTSIDE_NAMES = (
    "numpy.genfromtxt",
    "numpy.load",
    "numpy.loadtxt",
    "numpy.memmap",
    "numpy.save",
    "numpy.savez",
    "numpy.random.rand",
    "numpy.random.normal",
    "numpy.random.seed",
    "polars.read_csv",
    "polars.read_ipc",
    "polars.read_json",
    "polars.read_parquet",
    "polars.scan_csv",
    "polars.scan_ipc",
    "polars.scan_parquet",
)
OUTSIDE_BUILTINS = ("input", "open", "print")
OUTSIDE_METHODS = (
    "read_bytes",
    "read_text",
    "sink_parquet",
    "unlink",
    "write_bytes",
    "write_csv",
    "write_ipc",
    "write_parquet",
    "write_text",
)


def names_used(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """List the full dotted name of everything a module uses, import aliases resolved."""
    alias_of: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
                alias_of[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno
                alias_of[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        parts: list[str] = []
        inner: ast.AST = node
        while isinstance(inner, ast.Attribute):
            parts.append(inner.attr)
            inner = inner.value
        if parts and isinstance(inner, ast.Name) and inner.id in alias_of:
            yield ".".join([alias_of[inner.id], *reversed(parts)]), node.lineno


def calls(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """List calls of bare names, and of methods with a leading dot."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id, node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield f".{node.func.attr}", node.lineno


def starts_with_any(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def breaches(room: str, tree: ast.Module) -> set[str]:
    """List what a module of `room` uses and may not."""
    found = set()
    computes_only = TABLE[room].computes_only
    for name, line in names_used(tree):
        if starts_with_any(name, CLOCK) and room not in CLOCK_ROOMS:
            found.add(f"line {line}: {name}: the clock is read in wiring and passed in")
        elif starts_with_any(name, ENVIRONMENT) and room not in ENVIRONMENT_ROOMS:
            found.add(f"line {line}: {name}: the environment is read in wiring and settings")
        elif computes_only and starts_with_any(name, OUTSIDE_MODULES + OUTSIDE_NAMES):
            found.add(f"line {line}: {name}: {room} computes and touches nothing")
    if computes_only:
        for name, line in calls(tree):
            if name in OUTSIDE_BUILTINS or (name[:1] == "." and name[1:] in OUTSIDE_METHODS):
                found.add(f"line {line}: {name}(): {room} computes and touches nothing")
    return found


@pytest.mark.parametrize("room", TABLE)
def test_a_room_touches_only_what_its_row_says(room: str) -> None:
    """Computing rooms touch nothing; the clock and the environment come in by their own doors."""
    mine = [module for module in modules() if module.room == room]
    assert mine
    found = [f"{m.shown}: {line}" for m in mine for line in sorted(breaches(room, m.tree()))]
    assert not found, "\n".join(found)


def test_vocab_needs_the_standard_library_only() -> None:
    """The words every room shares cost nobody a dependency."""
    mine: list[Module] = [module for module in modules() if module.room == "vocab"]
    assert mine
    foreign = {
        use.target
        for module in mine
        for use in imports(module.tree())
        if not is_ours(use.target) and use.target.split(".")[0] not in sys.stdlib_module_names
    }
    assert foreign == set()


BAD = {
    "from datetime import datetime\nx = datetime.now()": "clock",
    "import datetime as dt\nx = dt.datetime.now(dt.UTC)": "clock",
    "import os\nx = os.environ['A']": "environment",
    "import sqlite3": "touches nothing",
    "import time\nx = time.perf_counter()": "touches nothing",
    "x = open('file')": "touches nothing",
    "from pathlib import Path\nx = Path('a').read_text()": "touches nothing",
    "import polars as pl\nx = pl.read_csv('a')": "touches nothing",
}


@pytest.mark.parametrize("code", BAD)
def test_the_check_itself_sees_each_way_out(code: str) -> None:
    """Each of these lines in a computing room is named."""
    assert any(BAD[code] in line for line in breaches("grid", ast.parse(code)))


def test_the_check_itself_lets_calculation_pass() -> None:
    """Arithmetic, typing and parsing of bytes already in hand are no breach."""
    code = "from datetime import datetime\nimport numpy as np\nx = datetime(2020, 1, 1)\ny = np.abs(1)"
    assert breaches("grid", ast.parse(code)) == set()


def test_the_clock_is_welcome_where_it_belongs() -> None:
    """Wiring reads the clock, so that nobody else has to."""
    code = "from datetime import UTC, datetime\nx = datetime.now(UTC)"
    assert breaches("wiring", ast.parse(code)) == set()
    assert breaches("ledger", ast.parse(code)) != set()
