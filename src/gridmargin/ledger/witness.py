"""Witnesses: somebody else signs that the log they see today begins with all that they saw of it before.

A witness keeps the last head that it signed and needs the ledger's public key, the new head and a proof of consistency.
What it gives is one more signature line for the head, with the moment of signing in it. Whoever trusts the witness need
not trust the ledger's keeper for that much: the keeper cannot show others another history without the witness.

Sources: C2SP tlog-cosignature (Ed25519, `cosignature/v1`) and tlog-witness, whose rules hold here without its HTTP service.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from gridmargin.ledger.merkle import is_consistent
from gridmargin.ledger.notes import DASH, PublicKey, SignatureError, Signer, TreeHead, signatures_of
from gridmargin.ledger.rows import moment_of
from gridmargin.ledger.store import Connection
from gridmargin.vocab import InputError, NotFoundError

_TIME_BYTES = 8


@dataclass(frozen=True, slots=True)
class WitnessKey(PublicKey):
    """A key that checks cosignatures, as `NAME+ID+BASE64`."""

    key_type: ClassVar[bytes] = b"\x04"
    made_by: ClassVar[str] = "`gridmargin ledger witness` prints it"

    def seen(self, note: str) -> datetime:
        """Give the moment at which the witness signed a head.

        Raises
        ------
        SignatureError
            If this witness did not sign it, or signed other words.
        """
        text, lines = signatures_of(note)
        for name, signature in lines:
            if name != self.name or signature[:4] != self.key_id:
                continue
            seconds = int.from_bytes(signature[4 : 4 + _TIME_BYTES], "big")
            if len(signature) != 4 + _TIME_BYTES + 64 or seconds >= 2**40:
                raise SignatureError(f"the cosignature of {name!r} is not of the form cosignature/v1")
            self.check(signature[4 + _TIME_BYTES :], _message(text, seconds))
            return moment_of(seconds * 1_000_000)
        raise SignatureError(f"{self.name} did not sign it")


class Witness(Signer):
    """The key of a witness, made at its first signature like a ledger's.

    Parameters
    ----------
    path : Path
        The private key; not one that signs a ledger's heads.
    name : str, optional
        What it signs as, such as `example.org/witness`; made from the key where absent.
    """

    def __init__(self, path: Path, name: str | None = None) -> None:
        super().__init__(path)
        if name is not None and (not name or any(c.isspace() or c == "+" for c in name)):
            raise InputError(f"a witness cannot be named {name!r}; give a name without spaces and plus signs")
        self._name = name

    def public(self) -> WitnessKey:
        """Give the public half."""
        raw = self.raw_public()
        return WitnessKey(self._name or "witness/" + hashlib.sha256(raw).hexdigest()[:12], raw)

    def cosign(self, head: TreeHead, now_utc: datetime) -> str:
        """Give the signature line over a head; who calls has held it against the last one."""
        key, seconds = self.public(), int(now_utc.timestamp())
        signature = self.sign_bytes(_message(head.text(), seconds))
        body = key.key_id + seconds.to_bytes(_TIME_BYTES, "big") + signature
        return f"{DASH}{key.name} {base64.b64encode(body).decode()}\n"


def _message(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def refusal(seen: TreeHead | None, head: TreeHead, path: list[bytes]) -> str | None:
    """Say why a head must not be cosigned after the one seen last, or None where it may be."""
    if seen is None:
        return None
    if head.tree_size < seen.tree_size:
        return f"rolled back: the log had {seen.tree_size} leaves when it was seen last, and has {head.tree_size} now"
    if head.tree_size == seen.tree_size:
        return (
            None
            if head.root == seen.root
            else f"forked: the log showed another root of {head.tree_size} leaves when it was seen last"
        )
    if seen.tree_size and not is_consistent(seen.tree_size, seen.root, head.tree_size, head.root, path):
        return f"rewritten: nothing proves that the log begins with the {seen.tree_size} leaves that were seen last"
    return None


def keep_cosignature(connection: Connection, note: str, public: PublicKey, witness: WitnessKey) -> TreeHead:
    """Keep a witness's signature of a head that this ledger signed; the first word of a witness for a size stands.

    Raises
    ------
    InputError
        If either signature does not hold.
    NotFoundError
        If the ledger never signed that head.
    """
    try:
        head = TreeHead.read(public.open(note))
        witness.seen(note)
    except SignatureError as fault:
        raise InputError(f"not a cosigned head of this ledger: {fault}") from None
    row = connection.execute("SELECT note FROM log_heads WHERE tree_size = ?", (head.tree_size,)).fetchone()
    if row is None or TreeHead.read(row[0]) != head:
        raise NotFoundError(
            f"this ledger has no head of {head.tree_size} leaves with that root; it was not kept"
        )
    line = next(
        f"{DASH}{name} {base64.b64encode(signature).decode()}"
        for name, signature in signatures_of(note)[1]
        if name == witness.name and signature[:4] == witness.key_id
    )
    with connection.transaction():
        connection.execute(
            "INSERT INTO log_cosignatures (tree_size, witness, line) SELECT ?, ?, ? WHERE NOT EXISTS"
            " (SELECT 1 FROM log_cosignatures WHERE tree_size = ? AND witness = ?)",
            (head.tree_size, str(witness), line, head.tree_size, str(witness)),
        )
    return head


def cosigned(connection: Connection, up_to: int) -> list[str]:
    """Give the newest head that each witness cosigned, of at most so many leaves, with its signature; smaller ones first."""
    rows = connection.execute(
        "SELECT h.note, c.line FROM log_cosignatures c JOIN log_heads h ON h.tree_size = c.tree_size"
        " WHERE c.tree_size = (SELECT max(tree_size) FROM log_cosignatures n WHERE n.witness = c.witness"
        " AND n.tree_size <= ?) ORDER BY c.tree_size, c.witness",
        (up_to,),
    )
    return [f"{note}{line}\n" for note, line in rows]


def witnessed_us(connection: Connection) -> int | None:
    """Give the latest time, by a witness's own clock, at which one cosigned a head; None without any. [µs]"""
    lines = [row[0] for row in connection.execute("SELECT line FROM log_cosignatures")]
    bodies = [base64.b64decode(line.rpartition(" ")[2]) for line in lines]
    seconds = [int.from_bytes(body[4 : 4 + _TIME_BYTES], "big") for body in bodies]
    return max(seconds) * 1_000_000 if seconds else None
