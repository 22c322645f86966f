"""Find a publisher's files under a data folder, by what they are called and hold, not by which years they cover."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from gridmargin.vocab import TableError


def files_matching(
    folder: Path, pattern: str, looks_right: Callable[[Path], bool] | None = None
) -> list[Path]:
    """List the files whose whole name matches, sorted by name, then by folder.

    Parameters
    ----------
    folder : Path
        Looked through to two levels: the data set itself, the `grid` folder, or the folder above it.
    pattern : str
        Regular expression for the file name.
    looks_right : callable, optional
        A cheap look into the file where its name alone would not do.
    """
    want = re.compile(pattern)
    found = {
        path
        for depth in ("*", "*/*", "grid/*/*")
        for path in folder.glob(depth)
        if want.fullmatch(path.name) and path.is_file() and (looks_right is None or looks_right(path))
    }
    return sorted(found, key=lambda path: (path.name, path))


def refuse_repeats(paths: Iterable[Path], stated_by: Callable[[Path], str]) -> None:
    """Refuse two files that state the same thing.

    Raises
    ------
    TableError
        Naming both.
    """
    seen: dict[str, Path] = {}
    for path in paths:
        what = stated_by(path)
        if what in seen:
            raise TableError(
                f"{seen[what]} and {path} both state {what}: remove one, or name the folder to read"
            )
        seen[what] = path
