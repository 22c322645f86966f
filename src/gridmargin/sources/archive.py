"""Content-addressed store of every payload we saw."""

from __future__ import annotations

import gzip
import os
import tempfile
import zlib
from pathlib import Path

from gridmargin.sources.source import Payload
from gridmargin.vocab import NotFoundError, TableError, sha256_hex

PACKED = ".gz"


class Archive:
    """Files named by their SHA-256, two levels deep; written once, never changed.

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
        if not plain.exists() and not gzipped.exists():
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

    def _path(self, digest: str, suffix: str = "") -> Path:
        return self.folder / digest[:2] / f"{digest}{suffix}"
