"""Where receipts were written lately, so that `explain` finds them without being told."""

from __future__ import annotations

import json
from pathlib import Path

KEPT = 20


def remember(file: Path, folder: Path) -> None:
    """Put a folder first in the list; a list that cannot be written is no failure of the command."""
    known = [str(folder.resolve()), *(str(f) for f in recent_folders(file))]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f".part-{file.name}")
        part.write_text(json.dumps(list(dict.fromkeys(known))[:KEPT]), encoding="utf-8")
        part.replace(file)
    except OSError:
        return


def recent_folders(file: Path) -> list[Path]:
    """Give the remembered folders, newest first; none where the list is missing or damaged."""
    try:
        listed = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [Path(text) for text in listed if isinstance(text, str)] if isinstance(listed, list) else []
