"""A real PostgreSQL server for the tests that ask for one: in a folder of its own, and never outliving them.

pytest-postgresql would do most of this, but starts the server as whoever runs the tests, and the server refuses root,
who is who runs them in a container.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from gridmargin.ledger import Book

USERS = ("postgres", "nobody")
"""Who runs the server where root runs the tests."""

ACCESS = """
local all locked scram-sha-256
local all all trust
"""
START_S = 60
BROUGHT_UP = "a_ledger"
KEPT = 20
"""How many databases are kept; older ones make room."""


@dataclass
class Server:
    """A running server, reached by a socket in its folder."""

    folder: Path
    made: list[str] = field(default_factory=list)

    def url(self, database: str, user: str = "owner") -> str:
        """Name a database of the server."""
        return f"postgresql://{user}@/{database}?host={self.folder}"

    def run(self, statement: str, database: str = "postgres") -> list[Any]:
        """Let the owner of the server run a statement."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def new_database(self, template: str = "template0") -> str:
        """Make a database, empty or like another, and give its URL."""
        self.made.append(f"ledger_{len(self.made)}")
        self.run(f"CREATE DATABASE {self.made[-1]} TEMPLATE {template} STRATEGY file_copy")
        if len(self.made) > KEPT:
            self.run(f"DROP DATABASE {self.made[-KEPT - 1]} WITH (FORCE)")
        return self.url(self.made[-1])

    def new_ledger(self) -> str:
        """Make a ledger, copied from one that was brought up before, and give its URL."""
        if not self.run(f"SELECT 1 FROM pg_database WHERE datname = '{BROUGHT_UP}'"):
            self.run(f"CREATE DATABASE {BROUGHT_UP} TEMPLATE template0")
            Book(self.url(BROUGHT_UP)).close()
        return self.new_database(BROUGHT_UP)


@contextmanager
def running_server(binaries: Path, *, durable: bool = False) -> Iterator[Server]:
    """Start a server and stop it, also where the tests are killed: it lives as long as the pipe to its keeper.

    Parameters
    ----------
    durable : bool
        Wait for the disk, as a server does that is in use; the databases of a test need not survive a power cut.
    """
    who = next((pwd.getpwnam(u) for u in USERS if _is_user(u)), None) if os.getuid() == 0 else None
    other = {} if who is None else {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
    folder = Path(tempfile.mkdtemp(prefix="gm-pg-"))  # short: a socket's path has room for a hundred letters
    try:
        if who is not None:
            os.chown(folder, who.pw_uid, who.pw_gid)
        data = folder / "data"
        how: dict[str, Any] = {"cwd": folder, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **other}
        made = subprocess.run(
            [binaries / "initdb", "-D", data, "-U", "owner", "-E", "UTF8", "--locale=C.UTF-8", "-A", "trust", "-N"],
            timeout=START_S, check=False, **how,
        )  # fmt: skip
        assert made.returncode == 0, made.stdout.decode()
        (data / "pg_hba.conf").write_text(ACCESS)
        synced = "on" if durable else "off"
        options = {
            "listen_addresses": "", "unix_socket_directories": folder, "fsync": synced, "full_page_writes": synced,
            "shared_buffers": "32MB", "max_connections": "30", "autovacuum": "off",
        }  # fmt: skip
        settings = " ".join(f"-c {name}='{value}'" for name, value in options.items())
        keeper = subprocess.Popen(
            ["sh", "-c", f"'{binaries}/postgres' -D '{data}' {settings} </dev/null >log 2>&1 & read -r _; kill -QUIT $!; wait; rm -rf '{data}'"],
            stdin=subprocess.PIPE, **how,
        )  # fmt: skip
        try:
            server = Server(folder)
            _wait_for(server, keeper)
            yield server
        finally:
            keeper.communicate(timeout=START_S)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _wait_for(server: Server, keeper: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        try:
            server.run("SELECT 1")
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
        if keeper.poll() is not None:
            break
    log = server.folder / "log"
    raise AssertionError(f"PostgreSQL did not start: {log.read_text() if log.exists() else 'no log'}")
