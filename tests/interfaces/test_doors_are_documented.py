"""Every command, route and environment variable stands in the reference."""

from pathlib import Path

import typer

from gridmargin.interfaces.cli.app import app
from gridmargin.interfaces.rest import Desk, build_app
from gridmargin.settings import Settings
from gridmargin.wiring import choose_source, open_workplace

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"


def commands(group, said="gridmargin"):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            if command.invoke_without_command:
                yield f"{said} {name}"
            yield from commands(command, f"{said} {name}")
        else:
            yield f"{said} {name}"


def test_every_command_and_variable_is_in_the_reference():
    """And the page names no command that is not there."""
    page = (REFERENCE / "cli.md").read_text()
    known = set(commands(typer.main.get_command(app)))
    assert len(known) >= 9
    named = {line[3:].partition("`")[0] for line in page.splitlines() if line.startswith("| `gridmargin ")}
    assert {" ".join(word for word in line.split() if not word.isupper()) for line in named} == known
    assert [n for n in Settings.model_fields if f"`GRIDMARGIN_{n.upper()}`" not in page] == []


def test_every_route_is_in_the_reference(tmp_path):
    """And the page names no route that is not there."""
    page = (REFERENCE / "rest.md").read_text()
    with open_workplace(tmp_path, Settings()) as place:
        spec = build_app(Desk(place, choose_source("reference", Settings()), "US-ERCO", None)).app.openapi()
    known = {f"{method.upper()} {path}" for path, item in spec["paths"].items() for method in item}
    named = {line[3:].partition("`")[0] for line in page.splitlines() if line.startswith("| `")}
    assert named == known
