"""The documentation keeps up with the code: every registered name has its page, every cited rule exists."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from architecture.rooms import BACKTEST_ONLY, REPO, TABLE

DOCS = REPO / "docs"
CONVENTION = re.compile(r"^## (C\d+)\b", re.MULTILINE)
CITED = re.compile(r"(?<![\w.+`])C\d{1,2}(?![\w/+])")
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")


def registered(registry: str) -> list[str]:
    """List the names in a registry, given as `package:NAME`; an empty one is a failure."""
    package, _, attribute = registry.partition(":")
    names = list(getattr(import_module(f"gridmargin.{package}"), attribute))
    assert names
    return names


def has_page(folder: Path, name: str) -> bool:
    """Say whether a registered name has a page that is more than a heading."""
    for spelled in (name, name.replace("_", "-")):
        page = folder / f"{spelled}.md"
        if page.exists() and len(page.read_text(encoding="utf-8").split()) > 40:
            return True
    return False


def is_mentioned(page: Path, name: str) -> bool:
    """Say whether a reference page gives a name as code."""
    return page.exists() and f"`{name}`" in page.read_text(encoding="utf-8")


def conventions() -> list[str]:
    return CONVENTION.findall((DOCS / "conventions.md").read_text(encoding="utf-8"))


def broken_links(page: Path) -> list[str]:
    """List the relative links of a page that lead nowhere."""
    targets = [hit.group(1) for hit in LINK.finditer(page.read_text(encoding="utf-8"))]
    return [
        t
        for t in targets
        if "://" not in t and not t.startswith("mailto:") and not (page.parent / t).exists()
    ]


@pytest.mark.parametrize("registry", ["marginal:ESTIMATORS", "attribution:RULES"])
def test_every_method_has_its_page(registry: str) -> None:
    """Each estimator and each rule says on a page what it does, assumes, and where it fails."""
    assert [name for name in registered(registry) if not has_page(DOCS / "methods", name)] == []


@pytest.mark.parametrize(
    ("registry", "page"),
    [("sources:SOURCES", "sources.md"), ("meters:METERS", "meters.md"), ("engines:ENGINES", "engines.md")],
)
def test_every_source_meter_and_engine_stands_in_the_reference(registry: str, page: str) -> None:
    """Each is listed by the name that it is registered under."""
    assert [n for n in registered(registry) if not is_mentioned(DOCS / "reference" / page, n)] == []


def test_conventions_are_numbered_without_gaps() -> None:
    """C1, C2, C3… in order, each once."""
    numbers = conventions()
    assert len(numbers) >= 12
    assert numbers == [f"C{n}" for n in range(1, len(numbers) + 1)]


def test_every_cited_convention_exists() -> None:
    """A rule cited in code, tests or pages can be looked up."""
    known = set(conventions())
    pages = [path for folder in ("src", "docs", "tests") for path in (REPO / folder).rglob("*")]
    texts = {
        p: p.read_text(encoding="utf-8") for p in pages if p.suffix in {".py", ".md"} and p != Path(__file__)
    }
    cited = {path: set(CITED.findall(text)) for path, text in texts.items()}
    assert sum(bool(numbers) for numbers in cited.values()) > 5
    found = [
        f"{p.relative_to(REPO)} cites {n}" for p, numbers in cited.items() for n in sorted(numbers - known)
    ]
    assert not found, "\n".join(found)


def test_the_printed_import_table_is_the_tested_one() -> None:
    """The architecture page prints the table that the import test enforces, row by row."""
    text = (DOCS / "understand" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w+) \| ([\w, ().-]+) \| ([^|]+) \|$", text, re.MULTILINE)
    printed = {name: (imports, outside) for name, imports, outside in rows if name != "package"}
    wanted = {}
    for name, room in TABLE.items():
        shown = [
            f"{other} (backtests)" if (name, other) in BACKTEST_ONLY else other for other in room.may_import
        ]
        wanted[name] = (", ".join(shown) or "-", room.outside)
    assert printed == wanted


def test_no_relative_link_is_broken() -> None:
    """Following a link from a page leads to a file."""
    pages = [*DOCS.rglob("*.md"), *REPO.glob("*.md"), *REPO.glob("*/README.md")]
    assert len(pages) > 10
    found = [f"{page.relative_to(REPO)} → {target}" for page in pages for target in broken_links(page)]
    assert not found, "\n".join(found)


def test_every_page_is_reached_from_the_index() -> None:
    """No page is written for nobody: following links from the index reaches each one."""
    seen: set[Path] = set()
    frontier = [DOCS / "index.md"]
    while frontier:
        page = frontier.pop().resolve()
        if page in seen or page.suffix != ".md" or not page.exists():
            continue
        seen.add(page)
        frontier += [page.parent / hit.group(1) for hit in LINK.finditer(page.read_text(encoding="utf-8"))]
    lost = sorted(str(p.relative_to(REPO)) for p in DOCS.rglob("*.md") if p.resolve() not in seen)
    assert lost == []


def test_the_checks_themselves_see_what_is_missing(tmp_path: Path) -> None:
    """A heading is no page, an unnamed source is not listed, a dead link is broken, a rule is found."""
    (tmp_path / "empty.md").write_text("# Empty\n")
    (tmp_path / "full-one.md").write_text(
        "word " * 50 + "[a](empty.md) [b](gone.md) [c](https://example.org)"
    )
    assert not has_page(tmp_path, "absent")
    assert not has_page(tmp_path, "empty")
    assert has_page(tmp_path, "full_one")
    assert not is_mentioned(tmp_path / "empty.md", "ercot")
    assert broken_links(tmp_path / "full-one.md") == ["gone.md"]
    assert CITED.findall("(C3, C5), see C12; CO2, E = C1/B, 0xC4, `C7`") == ["C3", "C5", "C12"]
