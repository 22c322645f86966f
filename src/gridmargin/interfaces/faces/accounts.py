"""Accounts of this server's own WattTime face: names and salted password hashes, tokens that expire; no secret in clear."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from gridmargin.vocab import InputError

TOKEN_LIFE = timedelta(minutes=30)
"""As WattTime's."""

SHORTEST_PASSWORD = 8
LONGEST = 256
MOST_ACCOUNTS = 1000

_SCRYPT = {"n": 2**14, "r": 8, "p": 1}
"""Cost of a password's hash: 16 MiB and some 50 ms (RFC 7914; OWASP Password Storage Cheat Sheet)."""

_TABLES = """
CREATE TABLE IF NOT EXISTS accounts (
    username TEXT PRIMARY KEY, email TEXT NOT NULL, org TEXT, salt BLOB NOT NULL, password_scrypt BLOB NOT NULL,
    created_s REAL NOT NULL);
CREATE TABLE IF NOT EXISTS tokens (
    token_sha256 TEXT PRIMARY KEY, username TEXT NOT NULL, expires_s REAL NOT NULL);
"""


class Accounts:
    """Accounts and tokens in one file of the data folder.

    Parameters
    ----------
    path : Path
        The SQLite file; made where absent, readable by its owner only.
    now_utc : callable
        The clock.
    """

    def __init__(self, path: Path, now_utc: Callable[[], datetime]) -> None:
        self.path = path
        self.now_utc = now_utc

    def register(self, username: str, password: str, email: str, org: str | None) -> None:
        """Keep an account.

        Raises
        ------
        InputError
            If the name is taken or empty, the password too short, the e-mail address none, or there are too many.
        """
        if not username.strip() or ":" in username or not username.isprintable():
            raise InputError("username is empty or holds a colon or a control character; choose another")
        if any("\ud800" <= character <= "\udfff" for character in password + email + (org or "")):
            raise InputError("a field holds half a character (a lone surrogate); send it as UTF-8")
        if "@" not in email:
            raise InputError("email is no address; give one with an @")
        if len(password) < SHORTEST_PASSWORD:
            raise InputError(f"password is shorter than {SHORTEST_PASSWORD} characters; choose a longer one")
        if max(map(len, (username, password, email, org or ""))) > LONGEST:
            raise InputError(f"a field is longer than {LONGEST} characters; shorten it")
        salt = secrets.token_bytes(16)
        row = (username, email, org, salt, _hash(password, salt), self.now_utc().timestamp())
        with self._database() as database:
            (n,) = database.execute("SELECT count(*) FROM accounts").fetchone()
            if n >= MOST_ACCOUNTS:
                raise InputError(f"{MOST_ACCOUNTS} accounts are kept already; remove {self.path.name}")
            try:
                database.execute("INSERT INTO accounts VALUES (?, ?, ?, ?, ?, ?)", row)
            except sqlite3.IntegrityError:
                raise InputError("that username is taken; choose another") from None

    def knows(self, username: str, password: str) -> bool:
        """Say whether an account has this password."""
        with self._database() as database:
            row = database.execute(
                "SELECT salt, password_scrypt FROM accounts WHERE username = ?", (username,)
            ).fetchone()
        salt, kept = (
            row if row is not None else (b"\0" * 16, b"")
        )  # as much work for a name that is not there
        return hmac.compare_digest(_hash(password[:LONGEST], salt), kept)

    def token(self, username: str) -> str:
        """Give a new token; of it only the hash is kept."""
        token = secrets.token_urlsafe(32)
        now = self.now_utc()
        with self._database() as database:
            database.execute("DELETE FROM tokens WHERE expires_s <= ?", (now.timestamp(),))
            database.execute(
                "INSERT INTO tokens VALUES (?, ?, ?)",
                (_digest(token), username, (now + TOKEN_LIFE).timestamp()),
            )
        return token

    def holds(self, token: str) -> bool:
        """Say whether a token was given out and has not expired."""
        if not token or not self.path.exists():
            return False
        with self._database() as database:
            row = database.execute(
                "SELECT 1 FROM tokens WHERE token_sha256 = ? AND expires_s > ?",
                (_digest(token), self.now_utc().timestamp()),
            ).fetchone()
        return row is not None

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        if not self.path.exists():
            with contextlib.suppress(FileExistsError):
                self.path.touch(mode=0o600, exist_ok=False)
        connection = sqlite3.connect(self.path, timeout=10)
        try:
            connection.executescript(_TABLES)
            with connection:
                yield connection
        finally:
            connection.close()


def _hash(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, maxmem=64 * 2**20, **_SCRYPT)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
