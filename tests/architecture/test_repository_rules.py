"""What may lie in the repository, and how its files introduce themselves."""

from __future__ import annotations

import ast
import hashlib
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from architecture.rooms import REPO, SRC, TABLE, modules

MAX_BYTES = 1_000_000
NOT_OURS = {".git", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", "__pycache__"}
NOT_OURS |= {"node_modules", "build", "dist"}

# Written in halves, so that this file keeps its own rule.
REGISTRY_HOSTS = tuple(
    "".join(halves)
    for halves in (
        ("pypi", ".org"),
        ("python", "hosted.org"),
        ("npmjs", ".org"),
        ("npmjs", ".com/package"),
        ("yarnpkg", ".com"),
        ("npm", "mirror.com"),
        ("conda.", "anaconda.org"),
    )
)
INDEX_OPTION = re.compile(r"^\s*(--index-url|--extra-index-url|--find-links|-i|-f)\b", re.MULTILINE)
MACHINE_PATH = re.compile(r"(?<![\w.:/~\-$}>*])/(?:work|root|tmp|home|Users)/\w")
RESOLVED_URL = re.compile(r'https?://|git\+|"resolved"|file:')
LOCK_NAME = re.compile(r"\.lock$|^requirements.*\.(lock|txt)$|^package-lock\.json$|^pnpm-lock\.yaml$")
DRAWERS = {"utils", "util", "core", "base", "common", "helpers", "helper", "misc"}


def tracked() -> list[Path]:
    """List the files in the repository or about to be; without git, all that is not a build product."""
    command = ["git", "-C", str(REPO), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        out = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        every = (path for path in REPO.rglob("*") if path.is_file())
        return sorted(p for p in every if not NOT_OURS & set(p.relative_to(REPO).parts))
    return sorted(REPO / name for name in out.split("\0") if name and (REPO / name).is_file())


def text_of(path: Path) -> str | None:
    """Read a text file; None for a binary one."""
    body = path.read_bytes()
    return None if b"\0" in body[:8192] else body.decode("utf-8", errors="replace")


def text_faults(name: str, text: str) -> list[str]:
    """List what a text says that it may not."""
    faults = [f"names the registry host {host}" for host in REGISTRY_HOSTS if host in text]
    faults += [f"names a machine path: {hit.group()}…" for hit in MACHINE_PATH.finditer(text)]
    if LOCK_NAME.search(name):
        if INDEX_OPTION.search(text):
            faults.append("a lock file gives an index option")
        # package-lock.json lists sponsors' pages; where a package came from stands under "resolved".
        urls = re.findall(r'"resolved"', text) if name.endswith(".json") else RESOLVED_URL.findall(text)
        if urls:
            faults.append(f"a lock file names {len(urls)} resolved addresses")
    return faults


def unhashed_pins(lock: str) -> list[str]:
    """List the pins of a requirements lock that carry no hash."""
    entries = re.split(r"\n(?=\S)", lock.strip())
    return [entry.split()[0] for entry in entries if "==" not in entry or "--hash=sha256:" not in entry]


def sha256s(paths: Iterable[Path]) -> dict[str, Path]:
    return {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in paths}


def copies(ours: list[Path], pack: Path) -> list[tuple[Path, Path]]:
    """Pair every file of ours with the file of the data pack that has the same bytes."""
    sizes = {path.stat().st_size for path in ours} - {0}
    theirs = [p for p in pack.rglob("*") if p.is_file() and p.stat().st_size in sizes]
    digests = sha256s(theirs)
    return [(path, digests[digest]) for digest, path in sha256s(ours).items() if digest in digests]


def all_names(tree: ast.Module) -> list[str] | None:
    """Read `__all__`, or None where there is none."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets
        ):
            return list(ast.literal_eval(node.value))
    return None


def sort_key(name: str) -> tuple[int, str]:
    """Order CONSTANTS, then Classes, then the rest, each by the alphabet."""
    bare = name.lstrip("_")
    return (0 if bare.isupper() and len(bare) > 1 else 1 if bare[:1].isupper() else 2, name)


def test_there_is_something_to_examine() -> None:
    """A search that finds nothing proves nothing."""
    assert {REPO / "pyproject.toml", REPO / "requirements.lock", SRC / "gridmargin" / "__init__.py"} <= set(
        tracked()
    )


def test_no_file_names_a_registry_a_machine_path_or_a_resolved_address() -> None:
    """What is tracked is the same on every machine and points at no package host."""
    found = []
    for path in tracked():
        text = text_of(path)
        if text is not None and path != Path(__file__):
            found += [f"{path.relative_to(REPO)}: {fault}" for fault in text_faults(path.name, text)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("a.md", "see https://" + REGISTRY_HOSTS[0] + "/project/x", "registry host"),
        ("a.py", "open('/" + "tmp/x')", "machine path"),
        ("a.md", "in /" + "home/ann/x", "machine path"),
        ("requirements.lock", "a @ https://host/a.whl", "resolved"),
        ("requirements.lock", "--index-url x", "index option"),
        ("package-lock.json", '{"resolved": "https://host/a.tgz"}', "resolved"),
    ],
)
def test_the_text_check_itself_sees_each_fault(name: str, text: str, fault: str) -> None:
    """Each of these small texts is refused for what is wrong with it."""
    assert any(fault in line for line in text_faults(name, text))


def test_the_text_check_itself_lets_plain_words_pass() -> None:
    """Relative paths, placeholders and ordinary addresses are no fault."""
    text = "../shared/data, src/work/x, https://example.org/home/x, ~/home/x, {root}/tmp/x"
    assert text_faults("a.md", text) == []


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_every_pin_is_hashed(name: str) -> None:
    """A package whose bytes changed is not installed."""
    lock = (REPO / name).read_text(encoding="utf-8")
    assert lock.count("==") > 30
    assert unhashed_pins(lock) == []
    assert unhashed_pins("a==1 \\\n    --hash=sha256:00\nb==2\nc>=3") == ["b==2", "c>=3"]


def test_the_two_locks_agree() -> None:
    """What runs is what was tested: the runtime lock is part of the development lock."""
    runtime, dev = (
        set(re.findall(r"^\S+==\S+.*$", (REPO / name).read_text(encoding="utf-8"), re.MULTILINE))
        for name in ("requirements.lock", "requirements-dev.lock")
    )
    assert runtime
    assert runtime <= dev


def test_no_file_is_a_drawer() -> None:
    """A file is named for what it holds, so that a newcomer finds it and nothing collects in it."""
    assert Path("a/utils.py").stem in DRAWERS
    found = [
        p for p in tracked() if DRAWERS & {part.lower() for part in (*p.relative_to(REPO).parts[:-1], p.stem)}
    ]
    assert found == []


def test_no_file_is_large() -> None:
    """Nothing over 1 MB: data stays outside, pictures stay small."""
    found = {str(p.relative_to(REPO)): p.stat().st_size for p in tracked() if p.stat().st_size > MAX_BYTES}
    assert found == {}


@pytest.mark.data
def test_no_file_of_the_data_pack_is_copied(data_dir: Path) -> None:
    """The publishers' files stay where they are; only sourced figures come in."""
    assert copies(tracked(), data_dir) == []


def test_the_copy_check_itself_sees_a_copy(tmp_path: Path) -> None:
    """The same bytes under another name are found; other bytes of the same length are not."""
    pack = tmp_path / "pack" / "deep"
    pack.mkdir(parents=True)
    (pack / "a.csv").write_text("1,2,3")
    same, other = tmp_path / "b.txt", tmp_path / "c.txt"
    same.write_text("1,2,3")
    other.write_text("3,2,1")
    assert copies([same, other], tmp_path / "pack") == [(same, pack / "a.csv")]


@pytest.mark.parametrize(
    "folder", [SRC, REPO / "tests", REPO / "benchmarks", REPO / "examples"], ids=lambda f: f.name
)
def test_every_module_says_what_it_is(folder: Path) -> None:
    """The first thing in a file is a sentence on what it holds."""
    assert ast.get_docstring(ast.parse("x = 1")) is None
    paths = [path for path in tracked() if path.suffix == ".py" and path.is_relative_to(folder)]
    found = [
        str(p.relative_to(REPO))
        for p in paths
        if not ast.get_docstring(ast.parse(p.read_text(encoding="utf-8")))
    ]
    assert found == []


def test_every_face_says_what_comes_in_and_what_goes_out() -> None:
    """Rule 5: a package's docstring tells its inputs and its outputs."""
    faces = [m for m in modules() if m.name == f"gridmargin.{m.room}" and m.room in TABLE]
    assert len(faces) > 8
    found = []
    for face in faces:
        docstring = ast.get_docstring(face.tree()) or ""
        if face.path.name == "__init__.py" and not ("Comes in:" in docstring and "Goes out:" in docstring):
            found.append(face.shown)
    assert found == []


def test_public_names_are_sorted_and_there() -> None:
    """`__all__` is in one order, without doubles, and every name in it exists in the module's text."""
    assert sorted(["b", "A", "C_D"], key=sort_key) == ["C_D", "A", "b"]
    lists = {module: names for module in modules() if (names := all_names(module.tree())) is not None}
    assert len(lists) > 4
    found = []
    for module, names in lists.items():
        if names != sorted(set(names), key=sort_key):
            found.append(f"{module.shown}: __all__ is not sorted")
        bound = module.path.read_text(encoding="utf-8")
        found += [f"{module.shown}: {name} is not there" for name in names if bound.count(name) < 2]
    assert not found, "\n".join(found)
