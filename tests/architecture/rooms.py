"""The import table, and how to read imports; the tests beside this file use both."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
SRC = REPO / "src"


@dataclass(frozen=True)
class Room:
    """Who a package may import, and how it may touch the outside."""

    may_import: tuple[str, ...]
    outside: str

    @property
    def computes_only(self) -> bool:
        """Whether rule 4 holds for the room: same arguments, same answer."""
        return self.outside.startswith("nothing")


TABLE = {
    "vocab": Room((), "nothing"),
    "reference": Room(("vocab",), "its own CSV files"),
    "sources": Room(("vocab", "reference"), "files; the archive folder; publishers over the network"),
    "meters": Room(
        ("vocab", "reference"),
        "recorded files; device libraries; the kernel's folders; BMCs, PDUs and exporters over the network",
    ),
    "requests": Room(("vocab",), "request logs on disk"),
    "engines": Room(("vocab",), "step files and files that engines wrote"),
    "places": Room(("vocab", "reference"), "its own outlines; files named by the user"),
    "grid": Room(("vocab", "reference", "sources"), "nothing"),
    "marginal": Room(("vocab", "reference", "grid"), "nothing"),
    "ledger": Room(("vocab", "marginal"), "its database; the shelf of fits"),
    "attribution": Room(("vocab", "reference", "meters", "requests", "engines", "ledger"), "nothing"),
    "receipts": Room(("vocab", "ledger", "attribution"), "its files; the query engine"),
    "evaluation": Room(
        (
            "vocab",
            "reference",
            "sources",
            "meters",
            "requests",
            "engines",
            "grid",
            "marginal",
            "ledger",
            "attribution",
            "receipts",
        ),
        "files; the results folder",
    ),
    "pipeline": Room(
        (
            "vocab",
            "reference",
            "sources",
            "meters",
            "requests",
            "engines",
            "grid",
            "marginal",
            "ledger",
            "attribution",
            "receipts",
        ),
        "nothing of its own",
    ),
    "settings": Room(("vocab",), "nothing"),
    "wiring": Room(
        (
            "vocab",
            "reference",
            "places",
            "sources",
            "meters",
            "requests",
            "engines",
            "grid",
            "marginal",
            "ledger",
            "attribution",
            "receipts",
            "pipeline",
            "settings",
        ),
        "clock, environment, folders",
    ),
    "interfaces": Room(
        (
            "vocab",
            "reference",
            "places",
            "requests",
            "engines",
            "pipeline",
            "wiring",
            "ledger",
            "attribution",
            "receipts",
            "evaluation",
        ),
        "sockets, terminal, files named by the user",
    ),
}

BACKTEST_ONLY = {("interfaces", "evaluation")}
"""Allowed only inside functions, or in a module named for backtests: the exam is no part of production."""

DOTTED = re.compile(r"gridmargin(\.\w+)+(:\w+)?")


def room_of(dotted: str) -> str:
    """Give the package directly under gridmargin that a dotted name lies in; empty for gridmargin itself."""
    return dotted.partition(".")[2].partition(".")[0]


@dataclass(frozen=True)
class Module:
    """One source file and the name it is imported by."""

    name: str
    path: Path

    @property
    def room(self) -> str:
        """The package directly under gridmargin that holds it; empty for gridmargin itself."""
        return room_of(self.name)

    @property
    def shown(self) -> str:
        """Its path as people write it."""
        return self.path.name if not self.path.is_relative_to(REPO) else str(self.path.relative_to(REPO))

    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.path.read_text(encoding="utf-8"), str(self.path))


@dataclass(frozen=True)
class Import:
    """One use of another module: what is imported, on which line, at module level or inside a function."""

    target: str
    names: tuple[str, ...]
    line: int
    inside_function: bool
    relative: bool = False
    as_text: bool = False
    typing_only: bool = False


def modules(src: Path = SRC) -> list[Module]:
    """Find every module under `src`/gridmargin."""
    found = []
    for path in sorted((src / "gridmargin").rglob("*.py")):
        parts = path.relative_to(src).with_suffix("").parts
        found.append(Module(".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return found


def imports(tree: ast.Module) -> Iterator[Import]:
    """List every import in a module, wherever it stands, and every string that names a module of ours."""
    inside = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.walk(node)
    }
    for_types = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        deep = id(node) in inside
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, (), node.lineno, deep)
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            typing_only = id(node) in for_types
            yield Import(
                node.module or "", names, node.lineno, deep, relative=node.level > 0, typing_only=typing_only
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and DOTTED.fullmatch(node.value):
            target, _, name = node.value.partition(":")
            # An entry-point group such as "gridmargin.sources" names a face, which is no import.
            if name or target.count(".") > 1:
                yield Import(target, (name,) if name else (), node.lineno, deep, as_text=True)


def is_ours(target: str) -> bool:
    """Say whether a dotted name lies in gridmargin."""
    return target == "gridmargin" or target.startswith("gridmargin.")
