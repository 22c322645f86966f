"""Every command, route and environment variable stands in the reference."""

import re
from pathlib import Path

import typer

from gridmargin.interfaces.cli.app import app
from gridmargin.interfaces.rest import Desk, build_app
from gridmargin.settings import Settings
from gridmargin.wiring import choose_source, open_workplace
from interfaces.face_server import application, every_route

LISTED = re.compile(r"`((?:GET|POST) /\S+)`")
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


def test_every_route_of_a_face_is_in_the_reference_and_in_no_description_of_ours(tmp_path):
    """The table of faces lists just those, each once; OpenAPI describes ours alone."""
    page = (REFERENCE / "rest.md").read_text()
    with application(tmp_path) as app:
        spec = app.app.openapi()
        ours = {f"{method.upper()} {path}" for path, item in spec["paths"].items() for method in item}
        routes = [f"{method} {path}" for method, path in every_route(app.app)]
    faces = [r for r in routes if r not in ours and r not in ("GET /openapi.json", "GET /")]
    assert len(faces) == len(set(faces)) > 30
    assert not any("/v3/" in path or "emissions" in path for path in ours)
    named = [found for line in page.splitlines() if line.startswith("| [") for found in LISTED.findall(line)]
    assert sorted(named) == sorted(faces)
