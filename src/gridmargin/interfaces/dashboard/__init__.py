"""The page: built files that read the REST answers and nothing else. Its sources are in `frontend/`."""

from __future__ import annotations

from pathlib import Path

__all__ = ["assets"]


def assets() -> Path:
    """Give the folder of built files, `index.html` among them.

    Returns
    -------
    Path
        A folder inside the installed package.
    """
    return Path(__file__).parent / "assets"
