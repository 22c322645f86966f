"""Several tables in one payload, each as it was published."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable

from gridmargin.sources.source import Payload
from gridmargin.vocab import TableError

MOST_BYTES = 256 * 1024 * 1024
"""Of all that a zip may unpack to. [B]"""


def pack(tables: Iterable[tuple[str, bytes]]) -> bytes:
    """Give tables in one ZIP, untouched inside; the same tables give the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as packed:
        for name, body in tables:
            packed.writestr(zipfile.ZipInfo(name), body)
    return out.getvalue()


def unpack(payload: Payload) -> dict[str, bytes]:
    """Give what a ZIP holds, by name and in its order.

    Raises
    ------
    TableError
        If it is damaged or too large.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(payload.body)) as packed:
            if sum(member.file_size for member in packed.infolist()) > MOST_BYTES:
                raise TableError(f"{payload.name} unpacks to more than {MOST_BYTES:,} bytes")
            return {name: packed.read(name) for name in packed.namelist()}
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise TableError(f"{payload.name} is cut short or damaged ({error}); fetch it again") from None
