"""Options that many commands share, and how an answer is printed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

ZoneArgument = Annotated[
    str,
    typer.Argument(
        help="Zone id such as US-ERCO, or a name such as aws:us-east-1; `gridmargin zones` lists the ids.",
        metavar="ZONE",
    ),
]
WorkloadOption = Annotated[
    str | None,
    typer.Option("--workload", help="Whose declared overrides decide before anything else.", metavar="NAME"),
]
PlacesOption = Annotated[
    Path | None,
    typer.Option("--places", help="TOML file of data centres and overrides.", metavar="FILE"),
]
GeojsonOption = Annotated[
    Path | None,
    typer.Option("--geojson", help="Outlines of zones, in place of the coarse ones.", metavar="FILE"),
]
StartOption = Annotated[
    str, typer.Option("--start", help="First moment, ISO 8601 with offset.", metavar="TIME")
]
EndOption = Annotated[str, typer.Option("--end", help="First moment outside.", metavar="TIME")]
EndOrHourOption = Annotated[
    str | None,
    typer.Option("--end", help="First moment outside; one hour after --start if absent.", metavar="TIME"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
SourceOption = Annotated[
    str, typer.Option("--source", help="auto, live, reference, or recorded:DIR.", metavar="SOURCE")
]
DataDirOption = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder for the ledger, archive and receipts.", metavar="DIR"),
]

LedgerOption = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        help="Where the ledger is, if not in the data folder: a file, or postgresql://USER@HOST/DATABASE.",
        metavar="PLACE",
    ),
]


def option_text(command: Any, name: str, value: str | None) -> str | None:
    """Write a parameter as the command line takes it; None where no command has an option of that name."""
    option = "--" + name.replace("_", "-")
    if not _takes(command, option):
        return None
    return option if value is None else f"{option} {value}"


def _takes(command: Any, option: str) -> bool:
    below = getattr(command, "commands", {}).values()
    return any(option in parameter.opts for parameter in command.params) or any(
        _takes(one, option) for one in below
    )


def emit(answer: Any, show: Callable[[Any], None], as_json: bool) -> None:
    """Print an answer for people, or as JSON."""
    if as_json:
        typer.echo(json.dumps(answer, ensure_ascii=False, allow_nan=False))
    else:
        show(answer)
