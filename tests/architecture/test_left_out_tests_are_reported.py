"""A test that cannot run here is left out aloud, and in CI a missing browser or server is a failure."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

Pytester = pytest.Pytester
MonkeyPatch = pytest.MonkeyPatch

CASES = """
import pytest

def test_plain():
    pass

@pytest.mark.data
def test_on_real_data(data_dir):
    assert (data_dir / "grid").is_dir()

@pytest.mark.browser
def test_in_a_browser(chromium_path):
    assert chromium_path

@pytest.mark.postgresql
def test_on_a_server(pytestconfig):
    pass
"""
INI = "[pytest]\nmarkers =\n    data: real data\n    browser: a browser\n    postgresql: a server\n"


@pytest.fixture
def house(pytester: Pytester, monkeypatch: MonkeyPatch) -> Pytester:
    """Give a small project with our conftest, far from any data pack, browser and server."""
    for name in ("CI", "GRIDMARGIN_DATA", "GRIDMARGIN_CHROMIUM", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(pytester.mkdir("empty")))
    pytester.makeini(INI)
    conftest = (Path(__file__).parents[1] / "conftest.py").read_text(encoding="utf-8")
    assert "/usr/lib/postgresql" in conftest
    pytester.makeconftest(conftest.replace("/usr/lib/postgresql", str(pytester.path / "postgresql")))
    pytester.makepyfile(CASES)
    return pytester


@pytest.mark.parametrize("workers", ["0", "1"])
def test_what_is_left_out_is_counted_and_the_way_out_named(house: Pytester, workers: str) -> None:
    """Deselected, not skipped; the summary gives count and remedy, under xdist too."""
    result = house.runpytest_subprocess("-n", workers)
    result.assert_outcomes(passed=1, deselected=0 if workers != "0" else 3)
    result.stdout.fnmatch_lines(
        [
            "LEFT OUT: 1 browser test; to run: *GRIDMARGIN_CHROMIUM*",
            "LEFT OUT: 1 data test; to run: *GRIDMARGIN_DATA*",
            "LEFT OUT: 1 postgresql test; to run: *apt install postgresql*",
        ]
    )


def test_in_ci_a_missing_browser_or_server_is_a_failure(house: Pytester, monkeypatch: MonkeyPatch) -> None:
    """CI never passes by looking away."""
    monkeypatch.setenv("CI", "1")
    house.runpytest_subprocess("-n", "0").assert_outcomes(passed=1, errors=2, deselected=1)


def test_what_is_there_is_used(house: Pytester, monkeypatch: MonkeyPatch) -> None:
    """With all in place every test runs and nothing is reported."""
    pack = house.mkdir("pack")
    for name in ("grid", "inference"):
        (pack / name).mkdir()
    browser = house.path / "browser"
    browser.write_text("#!/bin/sh\n")
    browser.chmod(0o755)
    monkeypatch.setenv("GRIDMARGIN_DATA", str(pack))
    monkeypatch.setenv("GRIDMARGIN_CHROMIUM", str(browser))
    programs = house.path / "postgresql" / "15" / "bin"
    programs.mkdir(parents=True)
    for name in ("initdb", "postgres"):
        (programs / name).touch()
    result = house.runpytest_subprocess("-n", "0")
    result.assert_outcomes(passed=4)
    result.stdout.no_fnmatch_line("LEFT OUT*")


def test_a_named_data_pack_that_is_none_is_an_error(house: Pytester, monkeypatch: MonkeyPatch) -> None:
    """A mistyped GRIDMARGIN_DATA is told, not taken for absence."""
    monkeypatch.setenv("GRIDMARGIN_DATA", str(house.path / "nowhere"))
    result = house.runpytest_subprocess("-n", "0")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*does not hold the folders grid/ and inference/*"])


def test_nobodys_settings_reach_the_tests(house: Pytester, monkeypatch: MonkeyPatch) -> None:
    """A key or a ledger of whoever runs the tests is neither seen nor written."""
    monkeypatch.setenv("GRIDMARGIN_API_KEY", "somebody's own key")
    monkeypatch.setenv("XDG_DATA_HOME", str(house.path / "real"))
    house.makepyfile(
        """
        import os
        def test_clean():
            assert "GRIDMARGIN_API_KEY" not in os.environ
            assert "real" not in os.environ["XDG_DATA_HOME"]
        """
    )
    house.runpytest_subprocess("-n", "0").assert_outcomes(passed=1)
