"""A full disk at every door: one message with the way out, nothing half-written, and the same works when there is room."""

import errno
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import duckdb
import psycopg
import pyarrow as pa
import pytest

from gridmargin.interfaces.failures import told
from gridmargin.ledger import Book
from gridmargin.vocab import DiskFullError, is_disk_full
from interfaces.command_line import LOG
from interfaces.face_server import asked

TESTS = Path(__file__).resolve().parents[1]

ON_A_SMALL_DISK = """
import contextlib, io, json, os, subprocess, sys
from pathlib import Path

from gridmargin.interfaces.cli import main
from gridmargin.ledger import Book, audit_book
from gridmargin.sources import Archive, Payload
from gridmargin.vocab import DiskFullError
from gridmargin.wiring import home_folder, open_workplace
from gridmargin.settings import Settings
from ledger.samples import FIT, T0, estimates

disk, log = Path(sys.argv[1]), sys.argv[2]
ballast, ROOM_KB = disk / "ballast", (0, 8, 40, 100)
data, at = disk / "data", T0.replace(year=2021)


def run(*arguments):
    out, err = io.StringIO(), io.StringIO()
    sys.argv = ["gridmargin", *map(str, arguments)]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
            code = 0
        except SystemExit as stopped:
            code = stopped.code or 0
    return [code, err.getvalue().strip().splitlines()[-1:] if code else []]


def batch(k):
    return estimates([(k * 7 + i) % 97 / 97 for i in range(300)])


def commands():
    account = ("account", log, "--zone", "US-ERCO", "--device", "H100", "--model", "llama-3.1-8b", "--source", "reference",
               "--out", disk / "out", "--data-dir", data, "--json")
    found = {"account": run(*account), "now": run("now", "DE", "--source", "reference", "--data-dir", data, "--json")}
    for ending in ("parquet", "csv", "json"):
        found[ending] = run("ledger", "export", "--out", disk / f"taken.{ending}", "--data-dir", data, "--json")
    try:
        Archive(disk / "archive").put(Payload("test", "big", os.urandom(200_000)))
        found["archive"] = [0, []]
    except OSError as error:
        found["archive"] = [2, [str(error.errno)]]
    for kb in ROOM_KB:  # a new ledger, with so much room
        if ballast.exists():
            os.truncate(ballast, size - kb * 1024)
        found[f"new{kb}"] = run("now", "DE", "--source", "reference", "--data-dir", disk / f"new{kb}", "--json")
        if ballast.exists():
            for path in (disk / f"new{kb}").rglob("*"):
                kept[str(path)] = path.read_bytes()
                path.unlink()
            fill()
    return found


def fill():
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def parts():
    return sorted(p.name for p in disk.rglob("*") if ".part" in p.name)


written = 0
ballast.write_bytes(bytes(256 * 1024))
with open_workplace(data, Settings()) as place:
    signer = place.signer
    refused = None
    for k in range(1000):
        try:
            written += place.book.append(batch(k), FIT, at)
        except DiskFullError as error:
            refused = str(error)
            break
# What little is left goes to ballast, so that every kind of write meets the end.
kept = {}
fill()
size = ballast.stat().st_size
full = commands()
left = parts()
taken = sorted(p.name for p in disk.glob("taken*"))
ballast.unlink()
subprocess.run(["mount", "-o", "remount,size=256m", disk], check=True)
for name, body in kept.items():
    Path(name).write_bytes(body)
with open_workplace(data, Settings()) as place:
    (held,) = place.book.connection.execute("SELECT count(*) FROM marginal_entries WHERE zone = 'US-ERCO' AND source = ''").fetchone()
    holds = [audit_book(place.book, signer.public()).holds]
    again = place.book.append(batch(k), FIT, at)
    holds.append(audit_book(place.book, signer.public()).holds)
print(json.dumps({"written": written, "held": held, "refused": refused, "again": again, "holds": holds, "full": full,
                  "left": left, "taken": taken, "roomy": commands()}))
"""


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory):
    """What happened on a file system of 4 MB that filled up and was then enlarged."""
    folder = tmp_path_factory.mktemp("small")
    disk, script, log = folder / "disk", folder / "script.py", folder / "requests.csv"
    disk.mkdir()
    script.write_text(ON_A_SMALL_DISK)
    log.write_text(LOG)
    mount = f'mount -t tmpfs -o size=4m tmpfs "{disk}"'
    run = f'{mount} && exec "{sys.executable}" "{script}" "{disk}" "{log}"'
    paths = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", run], env={**os.environ, "PYTHONPATH": paths, "HOME": str(folder)},
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.small_disk
def test_what_was_acknowledged_is_all_there_and_no_more(small_disk):
    """The append that failed left nothing, the audit holds, and the same append works when there is room."""
    assert small_disk["held"] == small_disk["written"] > 0
    assert "free some space" in small_disk["refused"]
    assert small_disk["again"] > 0
    assert small_disk["holds"] == [True, True]


@pytest.mark.small_disk
@pytest.mark.parametrize(
    "command", ["account", "now", "parquet", "csv", "json", "new0", "new8", "new40", "new100"]
)
def test_every_command_ends_in_one_message(small_disk, command):
    """Exit code 2 and the one error shape, with the way out; afterwards the same command works."""
    code, [line] = small_disk["full"][command]
    assert code == 2
    error = json.loads(line)["error"]
    assert error["code"] == "DiskFullError", error
    assert "free some space" in error["way_out"]
    assert small_disk["roomy"][command] == [0, []]


@pytest.mark.small_disk
def test_nothing_is_left_half_written(small_disk):
    """No part of a file, no export without its manifest; the archive takes the payload later."""
    assert small_disk["left"] == small_disk["taken"] == []
    assert small_disk["full"]["archive"] == [2, [str(errno.ENOSPC)]]
    assert small_disk["roomy"]["archive"] == [0, []]


LIMITED = """
import json, os, resource, sys
from pathlib import Path

from gridmargin.interfaces.failures import told
from gridmargin.ledger import Book
from gridmargin.ledger.export import Asked, export
from gridmargin.receipts.store import write_json
from gridmargin.sources import Archive, Payload
from gridmargin.wiring import open_workplace
from gridmargin.settings import Settings
from ledger.samples import FIT, T0, estimates

folder = Path(sys.argv[1])
with open_workplace(folder, Settings()) as place:
    place.book.append(estimates([i % 97 / 97 for i in range(3000)]), FIT, T0)
    place.book.head()
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    tries = {
        "archive": lambda: Archive(folder / "archive").put(Payload("test", "big", os.urandom(200_000))),
        "packed": lambda: Archive(folder / "archive").put(Payload("test", "big", os.urandom(200_000)), packed=True),
        "manifest": lambda: write_json(folder / "runs" / "r.json", {"text": "x" * 200_000}),
        **{e: lambda e=e: export(place.book, folder / f"taken.{e}", Asked(), T0) for e in ("parquet", "csv", "json")},
    }
    found = {}
    for name, work in tries.items():
        try:
            work()
            found[name] = None
        except Exception as error:
            found[name] = told(error)
    files = [p.name for p in folder.rglob("*") if ".part" in p.name or p.name.startswith("taken") or p.name == "r.json"]
print(json.dumps({"found": found, "files": files}))
"""


def test_a_limit_on_the_size_of_files_reads_like_a_full_disk(tmp_path):
    """`ulimit -f` and quotas too: archive, manifest and every export format, each without a trace."""
    paths = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], env={**os.environ, "PYTHONPATH": paths},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["files"] == []
    assert len(said["found"]) == 6
    for name, answer in said["found"].items():
        assert answer is not None, name
        assert answer[:2] == [2, "DiskFullError"], (name, answer)
        assert "free some space" in answer[2]


def sqlite_full(folder):
    """Give SQLite's own error."""
    with sqlite3.connect(folder / "x.sqlite", isolation_level=None) as database:
        database.execute("CREATE TABLE t (x)")
        database.execute("PRAGMA max_page_count = 2")
        with pytest.raises(sqlite3.OperationalError) as caught:
            database.execute("INSERT INTO t VALUES (zeroblob(100000))")
    database.close()
    return caught.value


def test_each_library_s_word_for_a_full_disk_is_understood(tmp_path):
    """SQLite, PostgreSQL, Arrow, DuckDB and the system: exit code 2, one code, the way out."""
    wrapped = ValueError("while writing")
    wrapped.__cause__ = OSError(errno.EDQUOT, "Disk quota exceeded", "/data/x")
    errors = [
        sqlite_full(tmp_path),
        psycopg.errors.DiskFull('could not extend file "base/1/2": No space left on device\nHINT:  Check free disk space.'),
        pa.ArrowInvalid("[Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device"),
        duckdb.IOException('IO Error: Could not write file "x": No space left on device'),
        OSError(errno.ENOSPC, "No space left on device", "/data/x"),
        OSError(errno.EFBIG, "File too large"),
        DiskFullError("the ledger x", "database or disk is full"),
        wrapped,
    ]  # fmt: skip
    for error in errors:
        assert is_disk_full(error), error
        code, name, message = told(error)
        assert (code, name) == (2, "DiskFullError")
        assert message.endswith("; free some space, or name a folder on another disk, then do the same again")
        assert "fetch it again" not in message
        assert "\n" not in message
    assert "the ledger's server" in told(errors[1])[2]
    assert "/data/x" in told(errors[4])[2]


@pytest.mark.parametrize(
    "error",
    [
        ValueError("full"),
        OSError(errno.EACCES, "Permission denied"),
        sqlite3.OperationalError("database is locked"),
    ],
)
def test_other_failures_are_not_taken_for_a_full_disk(error):
    """They keep their own words."""
    assert not is_disk_full(error)
    assert told(error)[1] != "DiskFullError"


def test_over_http_it_is_507_in_the_shape_of_each_face(tmp_path, monkeypatch):
    """Ours, WattTime's, the Carbon Aware SDK's; the ledger keeps what it had, and the same question works later."""

    async def ask(client):
        return [
            await client.get(path)
            for path in ("/v1/zones/DE/now", "/emissions/bylocation?location=DE", "/v3/carbon-intensity/latest?zone=DE")
        ]  # fmt: skip

    def full(*_arguments, **_more):
        raise DiskFullError("the ledger x", "database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Book, "append", full)
        ours, theirs, mapped = asked(tmp_path, ask)
    assert [a.status_code for a in (ours, theirs, mapped)] == [507, 507, 507]
    assert ours.json()["error"]["code"] == "DiskFullError"
    assert "free some space" in ours.json()["error"]["way_out"]
    assert theirs.json()["title"] == mapped.json()["code"] == "DiskFullError"
    assert [a.status_code for a in asked(tmp_path, ask)] == [200, 200, 200]
