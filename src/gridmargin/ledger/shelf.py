"""What was learned once, kept on disk until it is asked for again.

Nothing on the shelf is evidence: every answer is the same without it, and it may be deleted at any time. What an entry
rests on stands in the book.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from gridmargin.vocab import sha256_hex

MOST_BYTES = 256 * 1024 * 1024
"""What the shelf holds at most; beyond it what was not asked for the longest goes first."""

_SUFFIX = ".json"


class Shelf:
    """Files named by what was asked, each with the SHA-256 of what it holds.

    Parameters
    ----------
    folder : Path
        Made on first write.
    made_by : callable
        Names the code and the libraries that learn, when first asked for. What others learned is not taken.
    most_bytes : int
        What it holds at most.
    """

    def __init__(self, folder: Path, made_by: Callable[[], str], most_bytes: int = MOST_BYTES) -> None:
        self.folder = folder
        self._made_by = made_by
        self._most_bytes = most_bytes
        self._faults: list[str] = []

    def get(self, question: str) -> Any:
        """Give what was kept for a question, or None where nothing sound is.

        Parameters
        ----------
        question : str
            All that the answer depends on beside the code, or its hash.
        """
        path = self._path(question)
        try:
            kept = path.read_bytes()
            os.utime(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._faults.append(f"{path} cannot be read ({error.strerror}): learned anew")
            return None
        digest, _, text = kept.partition(b"\n")
        if sha256_hex(text) != digest.decode("ascii", "replace"):
            self._faults.append(
                f"{path} is damaged: its hash differs from what was written down; learned anew"
            )
            return None
        body = json.loads(text)
        if body["question"] != question or body["made_by"] != self._made_by():
            self._faults.append(f"{path} answers another question than its name says; learned anew")
            return None
        return body["answer"]

    def put(self, question: str, answer: Any) -> None:
        """Keep plain JSON for a question, in the order of its keys; where it cannot be written, that is told.

        A process that reads meanwhile sees what was there before, or all of it.
        """
        body = {"question": question, "made_by": self._made_by(), "answer": answer}
        text = json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
        path = self._path(question)
        temporary = None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=".part-")
            with os.fdopen(handle, "wb") as file:
                file.write(sha256_hex(text).encode() + b"\n" + text)
            Path(temporary).replace(path)
            self._prune()
        except OSError as error:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)
            self._faults.append(f"{path} cannot be written ({error.strerror}): it will be learned again")

    def faults(self) -> list[str]:
        """Give what went wrong since this was last asked, each said once."""
        found, self._faults = list(dict.fromkeys(self._faults)), []
        return found

    def _path(self, question: str) -> Path:
        return self.folder / (sha256_hex(f"{self._made_by()}\n{question}".encode()) + _SUFFIX)

    def _prune(self) -> None:
        """Drop what was not asked for the longest, and what a process that died left half-written."""
        found = []
        for path in self.folder.iterdir():
            with suppress(FileNotFoundError):  # another process dropped it
                known = path.stat()
                found.append((known.st_mtime_ns, known.st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found)[:-1]:
            if total <= self._most_bytes:
                break
            path.unlink(missing_ok=True)
            total -= size
