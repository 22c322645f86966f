"""Content-addressed store of every payload we saw."""

from __future__ import annotations

import gzip
import os
import re
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gridmargin.sources.source import Payload
from gridmargin.vocab import NotFoundError, TableError, sha256_hex

PACKED = ".gz"


_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Kept:
    """A payload in the archive.

    Attributes
    ----------
    sha256 : str
        Of the bytes as they came.
    n_bytes : int
        Of the file that holds it. [byte]
    kept_utc : datetime
        When it was kept last.
    """

    sha256: str
    n_bytes: int
    kept_utc: datetime


class Archive:
    """Files named by their SHA-256, two levels deep; written once, never changed, removed where nothing needs them.

    Parameters
    ----------
    folder : Path
        Made on first write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, payload: Payload, *, packed: bool = False) -> str:
        """Keep a payload and give its hash; keeping it twice is keeping it once.

        Parameters
        ----------
        packed : bool
            Keep the bytes gzipped: for what comes every few minutes and mostly repeats itself. The hash is of the
            bytes as they came, and `get` gives those.
        """
        digest = sha256_hex(payload.body)
        plain, gzipped = self._path(digest), self._path(digest, PACKED)
        path = gzipped if packed else plain
        there = plain if plain.exists() else gzipped
        if there.exists():
            with suppress(OSError):
                os.utime(there)  # wanted again just now: too new to be removed
        if not there.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".part-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(gzip.compress(payload.body, mtime=0) if packed else payload.body)
                    file.flush()
                    os.fsync(file.fileno())
                Path(temporary).replace(path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        return digest

    def get(self, digest: str) -> bytes:
        """Give the bytes with that hash, checked.

        Raises
        ------
        NotFoundError
            If they were never kept.
        TableError
            If what is on disk no longer has that hash.
        """
        plain, gzipped = self._path(digest), self._path(digest, PACKED)
        if not plain.exists() and not gzipped.exists():
            raise NotFoundError(f"no payload {digest} in the archive {self.folder}")
        try:
            body = plain.read_bytes() if plain.exists() else gzip.decompress(gzipped.read_bytes())
        except (EOFError, gzip.BadGzipFile, zlib.error):
            body = b""
        if sha256_hex(body) != digest:
            raise TableError(
                f"payload {digest} in the archive {self.folder} has been altered: its hash differs"
            )
        return body

    def kept(self) -> Iterator[Kept]:
        """Give every payload there is, without reading it."""
        for folder in sorted(self.folder.glob("[0-9a-f][0-9a-f]")):
            for path in sorted(folder.iterdir()):
                digest = path.name.removesuffix(PACKED)
                if _DIGEST.fullmatch(digest):
                    known = path.stat()
                    yield Kept(digest, known.st_size, datetime.fromtimestamp(known.st_mtime, UTC))

    def remove(self, digest: str, before_utc: datetime) -> bool:
        """Remove a payload that nobody kept again since a moment; say whether it is gone."""
        for path in (self._path(digest), self._path(digest, PACKED)):
            if path.exists():
                if datetime.fromtimestamp(path.stat().st_mtime, UTC) >= before_utc:
                    return False
                path.unlink()
        return True

    def _path(self, digest: str, suffix: str = "") -> Path:
        return self.folder / digest[:2] / f"{digest}{suffix}"
