"""The page's built files are whole, belong to their sources and ask nobody else for anything."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
from pathlib import Path

import pytest

from gridmargin.interfaces.dashboard import assets

FRONTEND = Path(__file__).resolve().parents[2] / "frontend"
SOURCES = (
    "build",
    "index.html",
    "package-lock.json",
    "package.json",
    "public",
    "src",
    "tsconfig.json",
    "vite.config.ts",
)
FIRST_LOAD_MAX_BYTES = 150_000


def sources_sha256(root: Path) -> tuple[str, int]:
    """Hash name, NUL, content, NUL of every source in order of name, as the build does."""
    tops = [root / name for name in SOURCES]
    files = [f for top in tops for f in (top.rglob("*") if top.is_dir() else [top]) if f.is_file()]
    named = sorted((f.relative_to(root).as_posix(), f) for f in files)
    digest = hashlib.sha256()
    for name, file in named:
        digest.update(name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest(), len(named)


def test_assets_were_built_from_the_sources_beside_them() -> None:
    """A source changed without `npm run build` is found here, without Node."""
    if not FRONTEND.is_dir():
        assert not os.environ.get("CI"), "frontend/ is missing: check out the whole project"
        pytest.skip("this copy of the project holds no frontend/ sources")
    told = json.loads((assets() / "build.json").read_text())["sources"]
    assert sources_sha256(FRONTEND) == (told["sha256"], told["files"]), (
        "run `npm ci && npm run build` in frontend/"
    )


def test_every_file_that_the_page_names_is_there() -> None:
    """The page loads its own files, and only those."""
    page = (assets() / "index.html").read_text()
    named = re.findall(r'(?:src|href)="([^"#]+)"', page)
    assert any(n.endswith(".js") for n in named)
    assert any(n.endswith(".css") for n in named)
    for name in named:
        assert name.startswith("./"), name
        assert (assets() / name).is_file(), name


def test_page_has_no_inline_script_or_style() -> None:
    """A content security policy of 'self' lets the whole page through."""
    page = (assets() / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    assert "<style" not in page
    assert "style=" not in page


def test_first_load_is_small() -> None:
    """Everything the first view needs is at most 150 kB after gzip."""
    loaded = [f for f in assets().rglob("*") if f.suffix in {".html", ".js", ".css", ".svg"}]
    assert sum(len(gzip.compress(f.read_bytes())) for f in loaded) <= FIRST_LOAD_MAX_BYTES


def test_stylesheets_load_nothing_from_elsewhere() -> None:
    """No font or picture comes from another host."""
    sheets = list(assets().rglob("*.css"))
    assert sheets
    for sheet in sheets:
        assert not re.search(r"@import|url\(\s*['\"]?(?:https?:)?//", sheet.read_text()), sheet.name


@pytest.mark.parametrize("library", ["react", "react-dom", "scheduler", "uplot"])
def test_licences_of_bundled_libraries_are_shipped(library: str) -> None:
    """Each bundled library is named with its licence."""
    text = (assets() / "THIRD_PARTY.txt").read_text()
    assert re.search(rf"^{library} \d+\.\d+\.\d+ \(MIT\)$", text, re.MULTILINE)
