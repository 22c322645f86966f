"""What every test may ask for: the data pack, a Chromium, a PostgreSQL server, and settled randomness.

A test marked `data`, `browser` or `postgresql` is left out where what it needs is not there, and the summary says how many
and how to bring them back. With `CI` set a missing browser or server is a failure instead.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WAY_OUT = {
    "data": "set GRIDMARGIN_DATA to the folder that holds grid/ and inference/, or put it at ../shared/data",
    "browser": "install Chromium, or set GRIDMARGIN_CHROMIUM to its path",
    "small_disk": "let the user of the tests mount (unshare -rm), as most Linux systems do",
    "postgresql": "install PostgreSQL 15 or newer (Debian: apt install postgresql) and psycopg (make setup-dev)",
}
POSTGRESQL_FOLDER = "/usr/lib/postgresql"
LEFT_OUT = pytest.StashKey[dict[str, int]]()
DATA = pytest.StashKey[Path | None]()

os.environ["GRIDMARGIN_OFFLINE"] = "1"  # for commands that tests start, too


def _stay_on_this_machine(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse to look up or reach another machine: what a test needs is served here."""
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host in (None, "", "localhost"):
        return
    try:
        here = ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        here = False
    if not here:
        raise OSError(f"a test wanted to reach {host}: tests stay on this machine")


sys.addaudithook(_stay_on_this_machine)

settings.register_profile("local", deadline=None, max_examples=60)
settings.register_profile(
    "ci", deadline=None, max_examples=100, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci" if os.environ.get("CI") else "local")


def find_data(root: Path) -> Path | None:
    """Give the data pack's folder, or None; a `GRIDMARGIN_DATA` that is no data pack is an error."""
    named = os.environ.get("GRIDMARGIN_DATA")
    folder = Path(named) if named else root.parent / "shared" / "data"
    if (folder / "grid").is_dir() and (folder / "inference").is_dir():
        return folder.resolve()
    if named:
        raise pytest.UsageError(f"GRIDMARGIN_DATA={named} does not hold the folders grid/ and inference/")
    return None


def find_chromium() -> str | None:
    """Give the path of a Chromium, or None; a `GRIDMARGIN_CHROMIUM` that cannot be run is an error."""
    named = os.environ.get("GRIDMARGIN_CHROMIUM")
    if named:
        found = shutil.which(named)
        if found is None:
            raise pytest.UsageError(f"GRIDMARGIN_CHROMIUM={named} is not a program")
        return found
    return next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)


def find_postgresql() -> Path | None:
    """Give the folder of PostgreSQL's programs, the newest that is there, or None; none without its driver."""
    if importlib.util.find_spec("psycopg") is None:
        return None
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += sorted(
        Path(POSTGRESQL_FOLDER).glob("*/bin"), key=lambda f: f.parent.name.zfill(3), reverse=True
    )
    return next((f for f in folders if (f / "initdb").exists() and (f / "postgres").exists()), None)


def may_mount() -> bool:
    """Say whether a test may have a small file system of its own; not every machine lets one."""
    if shutil.which("unshare") is None:
        return False
    asked = ["unshare", "-rm", "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/mnt"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


FINDERS = {"browser": find_chromium, "postgresql": find_postgresql}


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LEFT_OUT] = {}
    config.stash[DATA] = find_data(config.rootpath)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    missing = set()
    if config.stash[DATA] is None:
        missing.add("data")
    if not os.environ.get("CI"):
        missing |= {name for name, find in FINDERS.items() if find() is None}
    # No server that could be installed: the machine's owner allows it or not, and tests with a limit on files always run.
    if any(item.get_closest_marker("small_disk") for item in items) and not may_mount():
        missing.add("small_disk")
    kept, dropped = [], []
    for item in items:
        lacks = sorted(name for name in missing if item.get_closest_marker(name))
        (dropped if lacks else kept).append(item)
        for name in lacks:
            config.stash[LEFT_OUT][name] = config.stash[LEFT_OUT].get(name, 0) + 1
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept


def pytest_runtest_setup(item: pytest.Item) -> None:
    for name, find in FINDERS.items():
        if item.get_closest_marker(name) and find() is None:
            pytest.fail(f"a {name} test without {name}: {WAY_OUT[name]}", pytrace=False)


def pytest_sessionfinish(session: pytest.Session) -> None:
    # Under xdist every worker collects the same tests and hands its count to the process that reports.
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["left_out"] = session.config.stash[LEFT_OUT]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    told = getattr(node, "workeroutput", {}).get("left_out", {})
    node.config.stash[LEFT_OUT].update(told)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for name, count in sorted(config.stash[LEFT_OUT].items()):
        tests = "test" if count == 1 else "tests"
        terminalreporter.write_line(f"LEFT OUT: {count} {name} {tests}; to run: {WAY_OUT[name]}", yellow=True)


@pytest.fixture(scope="session", autouse=True)
def nobodys_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the settings, ledgers and receipts of whoever runs the tests out of them, and the tests out of those."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("GRIDMARGIN_") and name not in (
                "GRIDMARGIN_CHROMIUM",
                "GRIDMARGIN_SCREENSHOT",
            ):
                patch.delenv(name)
        for name in ("XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name.lower())))
        yield


@pytest.fixture(scope="session")
def data_dir(pytestconfig: pytest.Config) -> Path:
    """Folder of the data pack; a test that asks for it is marked `data`."""
    folder = pytestconfig.stash[DATA]
    if folder is None:
        pytest.fail(f"this test uses data_dir and lacks the mark `data`: {WAY_OUT['data']}", pytrace=False)
    return folder


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Path of a Chromium; a test that asks for it is marked `browser`."""
    path = find_chromium()
    if path is None:
        pytest.fail(f"this test uses chromium_path and there is none: {WAY_OUT['browser']}", pytrace=False)
    return path


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Any]:
    """Run a PostgreSQL server (`Server`) as long as the tests; a test that asks for it is marked `postgresql`."""
    from postgresql_server import running_server

    binaries = find_postgresql()
    if binaries is None:
        pytest.fail(f"this test uses postgresql and there is none: {WAY_OUT['postgresql']}", pytrace=False)
    with running_server(binaries) as server:
        yield server


@pytest.fixture(scope="session", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Give what gives places for ledgers (`Store`): a test that asks for it runs on either store."""
    from ledger_store import in_files, on_server

    if request.param == "sqlite":
        return in_files(lambda: tmp_path_factory.mktemp("ledger"))
    return on_server(request.getfixturevalue("postgresql"))
