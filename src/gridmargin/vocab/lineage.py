"""The trail that a number carries: payload hash, method, version."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any


def sha256_hex(payload: bytes) -> str:
    """Give the SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(payload).hexdigest()


def canonical_json(value: Any) -> str:
    """Write a value as JSON in one way only: sorted keys, no spaces, shortest floats."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True, slots=True)
class Cell:
    """Where in which raw payload a value stands.

    Attributes
    ----------
    payload_sha256 : str
        Hash of the payload's bytes as they came.
    row : int
        Line of the decoded table, 1 is its header; record number + 1 where the format has no lines.
    column : str
        The publisher's own column name.
    """

    payload_sha256: str
    row: int
    column: str
