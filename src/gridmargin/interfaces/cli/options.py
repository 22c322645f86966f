"""Options that many commands share, and how an answer is printed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

ZoneArgument = Annotated[
    str, typer.Argument(help="Zone id, such as US-ERCO; `gridmargin zones` lists them.", metavar="ZONE")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
SourceOption = Annotated[
    str, typer.Option("--source", help="auto, live, reference, or recorded:DIR.", metavar="SOURCE")
]
DataDirOption = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder for the ledger, archive and receipts.", metavar="DIR"),
]


def emit(answer: Any, show: Callable[[Any], None], as_json: bool) -> None:
    """Print an answer for people, or as JSON."""
    if as_json:
        typer.echo(json.dumps(answer, ensure_ascii=False, allow_nan=False))
    else:
        show(answer)
