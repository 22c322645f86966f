"""Who may import whom: the table in `rooms.py` is the source, the page in docs prints it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from architecture.rooms import BACKTEST_ONLY, SRC, TABLE, Module, imports, is_ours, modules, room_of


def public_names(face: Path) -> set[str]:
    """Read `__all__` of a package face, or the top-level names of a plain module."""
    tree = ast.parse(face.read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Name) and target.id == "__all__":
                    return set(ast.literal_eval(node.value))
                if isinstance(target, ast.Name):
                    names.add(target.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
    return names


def face_of(room: str, src: Path) -> Path:
    package = src / "gridmargin" / room / "__init__.py"
    return package if package.exists() else src / "gridmargin" / f"{room}.py"


def breaches(module: Module, src: Path) -> list[str]:
    """List what in one module goes against rules 1 to 3 of the import table."""
    found = []
    entrance = module.name in ("gridmargin", "gridmargin.__main__")
    if not entrance and module.room not in TABLE:
        return [f"{module.shown}: {module.room!r} is not in the table (rule 3)"]
    for use in imports(module.tree()):
        where = f"{module.shown}:{use.line}"
        if use.relative:
            found.append(f"{where}: relative import (rule 2)")
            continue
        if not is_ours(use.target):
            continue
        targets = [use.target] if use.target != "gridmargin" else [f"gridmargin.{n}" for n in use.names]
        for target in targets:
            room = room_of(target)
            if room in ("__version__", module.room):
                continue
            if entrance:
                if not use.typing_only and not (module.name.endswith("__main__") and room == "interfaces"):
                    found.append(f"{where}: `import gridmargin` loads {room}")
                continue
            if room not in TABLE[module.room].may_import:
                found.append(f"{where}: {module.room} may not import {room} (the table)")
                continue
            exam_door = use.inside_function or module.name.rpartition(".")[2].startswith("backtest")
            if (module.room, room) in BACKTEST_ONLY and not exam_door:
                found.append(f"{where}: {module.room} imports {room} only where a backtest runs")
            if target.count(".") > 1:
                found.append(f"{where}: import {room} by its face, not {target} (rule 1)")
            elif use.target != "gridmargin":
                missing = sorted(set(use.names) - public_names(face_of(room, src)))
                if missing:
                    found.append(f"{where}: {', '.join(missing)} not in __all__ of {room} (rule 1)")
    return found


def test_the_search_finds_every_room_of_the_table() -> None:
    """A room of the table that has no file is a stale row, and a search that finds nothing proves nothing."""
    assert {module.room for module in modules()} - {"", "__main__"} == set(TABLE)


def test_the_table_has_no_way_round_in_a_circle() -> None:
    """Following the table from any room never leads back to it."""
    for start in TABLE:
        reached: set[str] = set()
        frontier = set(TABLE[start].may_import)
        while frontier:
            reached |= frontier
            frontier = {after for room in frontier for after in TABLE[room].may_import} - reached
        assert start not in reached


@pytest.mark.parametrize("room", ["", *TABLE])
def test_imports_follow_the_table(room: str) -> None:
    """Each room imports only what its row allows, absolutely, and by the face."""
    found = [line for m in modules() if m.room in (room, room or "__main__") for line in breaches(m, SRC)]
    assert not found, "\n".join(found)


BAD = {
    "from gridmargin.ledger import Book": "grid may not import ledger",
    "def f():\n    from gridmargin.wiring import Wiring": "grid may not import wiring",
    "from gridmargin.vocab.interval import Interval": "by its face",
    "from gridmargin.vocab import interval": "not in __all__",
    "from gridmargin import receipts": "grid may not import receipts",
    "import gridmargin.vocab.interval": "by its face",
    "from . import state": "relative import",
    "NAME = 'gridmargin.marginal.average:Average'": "grid may not import marginal",
}
GOOD = [
    "from gridmargin.vocab import Interval",
    "from gridmargin.grid.state import GridStates",
    "import polars as pl",
    "GROUP = 'gridmargin.sources'",
]


@pytest.mark.parametrize("code", [*BAD, *GOOD])
def test_the_check_itself_tells_bad_from_good(code: str, tmp_path: Path) -> None:
    """A small house with one bad line in it is refused for that line; a good line passes."""
    for room in ("vocab", "grid"):
        (tmp_path / "gridmargin" / room).mkdir(parents=True)
    (tmp_path / "gridmargin" / "vocab" / "__init__.py").write_text("__all__ = ['Interval']\n")
    path = tmp_path / "gridmargin" / "grid" / "__init__.py"
    path.write_text(code + "\n")
    found = breaches(Module("gridmargin.grid", path), tmp_path)
    if code in BAD:
        assert len(found) == 1
        assert BAD[code] in found[0]
    else:
        assert found == []


def test_a_lazy_only_import_at_the_top_is_refused(tmp_path: Path) -> None:
    """The command line loads the exam only inside the command that sits it."""
    (tmp_path / "gridmargin" / "evaluation").mkdir(parents=True)
    (tmp_path / "gridmargin" / "evaluation" / "__init__.py").write_text("__all__ = ['backtest']\n")
    path = tmp_path / "cli.py"
    line = "from gridmargin.evaluation import backtest\n"
    path.write_text(line)
    assert len(breaches(Module("gridmargin.interfaces.cli", path), tmp_path)) == 1
    path.write_text("def run():\n    " + line)
    assert breaches(Module("gridmargin.interfaces.cli", path), tmp_path) == []
    path.write_text(line)
    assert breaches(Module("gridmargin.interfaces.cli.backtest_commands", path), tmp_path) == []


def test_an_unknown_room_is_refused(tmp_path: Path) -> None:
    """A package that is not in the table is not a package."""
    path = tmp_path / "thing.py"
    path.write_text("")
    assert "not in the table" in breaches(Module("gridmargin.misc.thing", path), tmp_path)[0]
