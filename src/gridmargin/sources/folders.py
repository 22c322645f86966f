"""Find a publisher's files under a data folder, by what they are called, not by which years they hold."""

from __future__ import annotations

import re
from pathlib import Path


def files_matching(folder: Path, pattern: str, needs: str = "") -> list[Path]:
    """List the files whose whole name matches, sorted by name.

    Parameters
    ----------
    folder : Path
        Looked through to two levels: the data set itself, the `grid` folder, or the folder above it.
    pattern : str
        Regular expression for the file name.
    needs : str
        Text that the name of the file's folder must contain, where the file name alone would not do.
    """
    want = re.compile(pattern)
    found: dict[str, Path] = {}
    for depth in ("*", "*/*", "grid/*/*"):
        for path in sorted(folder.glob(depth)):
            if want.fullmatch(path.name) and needs in path.parent.name and path.is_file():
                found.setdefault(path.name, path)
    return [found[name] for name in sorted(found)]
