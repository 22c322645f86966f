"""Errors from below the doors name a parameter once; the command line, REST and Python each write it their own way."""

import ast
import asyncio
import re
from pathlib import Path

import httpx
import pytest
import typer

import gridmargin
from gridmargin.interfaces.cli.app import app, with_options
from gridmargin.interfaces.rest import Desk, build_app
from gridmargin.settings import Settings
from gridmargin.vocab import InputError
from gridmargin.wiring import choose_source, open_workplace, source_for
from interfaces.command_line import run

SRC = Path(gridmargin.__file__).parent
OPTION = re.compile(r"(?<![\w`-])--[a-z][\w-]*")
COMMAND = re.compile(r"`gridmargin [^`]*`")


def options_of(command):
    """Every option of a command and of those below it."""
    own = {word for parameter in command.params for word in parameter.opts}
    return own.union(*(options_of(below) for below in getattr(command, "commands", {}).values()))


OURS = options_of(typer.main.get_command(app)) - {"--help"}
"""Other programs have options, too, and messages may name those."""


def options_in(source):
    """Texts, docstrings aside, that name an option of the command line outside a whole command."""
    tree = ast.parse(source)
    said = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    texts = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            texts.append("".join(v.value if isinstance(v, ast.Constant) else "X" for v in node.values))
            said.update(id(v) for v in node.values)
    texts += [
        n.value
        for n in ast.walk(tree)
        if isinstance(n, ast.Constant) and isinstance(n.value, str) and id(n) not in said
    ]
    return [text for text in texts if OURS & set(OPTION.findall(COMMAND.sub("", text)))]


def test_the_check_itself_sees_an_option():
    """In a plain text and in one with values, not in a docstring or a whole command."""
    assert options_in('raise E("give another --source")')
    assert options_in('raise E(f"{x}; give --at {y}")')
    assert not options_in('raise E("start the engine with --enable-metrics")')
    assert not options_in('def f():\n    """Read `--source`, or --x."""')
    assert not options_in('raise E(f"run `gridmargin ledger export --salvage`")')


def test_nothing_below_the_command_line_speaks_its_language():
    """No text outside `interfaces/cli` names an option."""
    files = [p for p in SRC.rglob("*.py") if "cli" not in p.relative_to(SRC).parts]
    assert len(files) > 200
    assert {
        str(p.relative_to(SRC)): found for p in files if (found := options_in(p.read_text("utf-8")))
    } == {}


def test_one_error_in_three_spellings(tmp_path):
    """A zone without typical days: the way out is a source, which REST has only where its server is started."""
    with pytest.raises(InputError, match="give `source=recorded:DIR`"):
        source_for(choose_source("reference", Settings()), "JP-TK")
    assert run("now", "JP-TK", "--source", "reference").err.rstrip().endswith("give --source recorded:DIR")

    async def work():
        with open_workplace(tmp_path, Settings()) as place:
            app = build_app(Desk(place, choose_source("reference", Settings()), "US-ERCO", None))
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return (await client.get("/v1/zones/JP-TK/now")).json()["error"]

    assert asyncio.run(work())["way_out"] == "give `source=recorded:DIR` where the server is started"


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("give another `data_dir`", "give another --data-dir"),
        ("move it by `align_to=2026-01-01T00:00Z`", "move it by --align-to 2026-01-01T00:00Z"),
        ("see `now` and `built_fleet`", "see `now` and `built_fleet`"),
        ("run `gridmargin sources`", "run `gridmargin sources`"),
    ],
)
def test_only_what_is_an_option_is_written_as_one(said, written):
    """Other words between backticks stay as they are."""
    assert with_options(said) == written
