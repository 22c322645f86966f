"""Check that a wheel holds every file of src/gridmargin, the page and its assets among them."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

SRC = Path(__file__).resolve().parents[1] / "src"
MUST = ("gridmargin/py.typed", "gridmargin/interfaces/dashboard/assets/index.html")


def expected() -> set[str]:
    """List what a wheel has to hold, as paths inside it."""
    files = (
        path for path in (SRC / "gridmargin").rglob("*") if path.is_file() and "__pycache__" not in path.parts
    )
    return {path.relative_to(SRC).as_posix() for path in files} | set(MUST)


def main(wheel: str) -> int:
    """Report what is missing; 0 when nothing is."""
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    missing = sorted(expected() - held)
    for name in missing:
        sys.stderr.write(f"{Path(wheel).name} lacks {name}\n")
    if not missing:
        sys.stdout.write(f"{Path(wheel).name} holds all {len(expected())} files\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
