"""Content-addressed store of every payload we saw."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from gridmargin.sources.source import Payload
from gridmargin.vocab import NotFoundError, TableError, sha256_hex


class Archive:
    """Files named by their SHA-256, two levels deep; written once, never changed.

    Parameters
    ----------
    folder : Path
        Made on first write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, payload: Payload) -> str:
        """Keep a payload and give its hash; keeping it twice is keeping it once."""
        digest = sha256_hex(payload.body)
        path = self._path(digest)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".part-")
            with os.fdopen(handle, "wb") as file:
                file.write(payload.body)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
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
        path = self._path(digest)
        if not path.exists():
            raise NotFoundError(f"no payload {digest} in the archive {self.folder}")
        body = path.read_bytes()
        if sha256_hex(body) != digest:
            raise TableError(
                f"payload {digest} in the archive {self.folder} has been altered: its hash differs"
            )
        return body

    def _path(self, digest: str) -> Path:
        return self.folder / digest[:2] / digest
