"""Run the command line in this process, as the installed command would."""

import contextlib
import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from gridmargin.interfaces.cli import main

LOG = "TIMESTAMP,ContextTokens,GeneratedTokens\n" + "".join(
    f"2026-07-15T18:{minute:02d}:{second:02d}Z,{300 + second},{40 + second}\n"
    for minute in (14, 15)
    for second in (1, 20, 58)
)


@dataclass
class Ran:
    code: int
    out: str
    err: str

    def json(self):
        assert self.code == 0, self.err
        return json.loads(self.out)


def run(*arguments):
    """Give exit code, output and messages of `gridmargin ARGUMENTS`."""
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", ["gridmargin", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
    return Ran(stopped.value.code or 0, out.getvalue(), err.getvalue())


def priced(folder: Path, *more):
    """Price the small log against typical days."""
    log = folder / "requests.csv"
    log.write_text(LOG)
    return run(
        "account", log, "--zone", "US-ERCO", "--device", "H100", "--model", "llama-3.1-8b", "--out", folder / "out",
        "--source", "reference", "--json", *more,
    )  # fmt: skip
