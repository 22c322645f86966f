"""What the terminal is asked to do: print for people, show progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

WIDTH = 400
"""Tables are this wide at least: a figure cut off is worse than a line that runs on. [characters]"""


class _PeopleConsole(Console):
    """Writes the parameters that a text names as options."""

    def print(self, *objects: Any, **how: Any) -> None:
        from gridmargin.interfaces.cli.app import with_options

        super().print(*(with_options(one) if isinstance(one, str) else one for one in objects), **how)


def people_console(width: int = WIDTH) -> Console:
    """Give a console that prints text as it stands: no markup read out of paths, no lines broken for it."""
    return _PeopleConsole(highlight=False, markup=False, soft_wrap=True, width=max(width, Console().width))


@contextmanager
def progress_bar(what: str, total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error where that is a terminal; give the function that moves it on."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=console, disable=quiet or not console.is_terminal, transient=True,
    )  # fmt: skip
    with bar:
        task = bar.add_task("", total=total)
        yield lambda n: bar.advance(task, n)
