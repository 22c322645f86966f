"""The log under the book: one leaf for each thing written down, in the order of writing, and signed heads over them.

A leaf is the hash of `leaf_data`: what the record is, when it was written, what it superseded, and the hash of what it
says. Of the tree only the leaves and the complete subtrees of `BLOCK` leaves and their doubles are kept, in tables that
only grow; everything else is hashed from them when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gridmargin.ledger.merkle import (
    EMPTY,
    Levels,
    consistency_path,
    inclusion_path,
    leaf_hash,
    node_hash,
    split,
    tree_hash,
)
from gridmargin.ledger.notes import PublicKey, SignatureError, TreeHead
from gridmargin.ledger.records import KINDS, Written, leaf_data
from gridmargin.ledger.retirements import Stretches, is_covered
from gridmargin.ledger.store import Connection
from gridmargin.vocab import Kind, NotFoundError, TableError, UnknownNameError

BLOCK_LEVEL = 8
BLOCK = 1 << BLOCK_LEVEL
"""Leaves in the smallest subtree whose hash is kept."""

_ENTRIES = [kind.value for kind in Kind]


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Proof that one leaf stands in the tree of a head.

    Attributes
    ----------
    leaf_index : int
        Position in the log, from 0.
    leaf, path : bytes, list of bytes
        Hash of the leaf, and the audit path from its sibling up.
    """

    leaf_index: int
    tree_size: int
    leaf: bytes
    path: list[bytes]


class Log:
    """The leaves, nodes and heads of one database.

    Parameters
    ----------
    connection : Connection
        Of the book; writing happens inside the book's own transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __len__(self) -> int:
        row = self._connection.execute("SELECT max(leaf_index) FROM log_leaves").fetchone()
        return 0 if row[0] is None else int(row[0]) + 1

    # -- writing ---------------------------------------------------------------------------------------------------

    def extend(self, records: Iterable[Written]) -> int:
        """Add a leaf for each record and give the new size of the tree."""
        size = len(self)
        leaves = [(r.kind, r.record_id, leaf_hash(leaf_data(r))) for r in records]
        if not leaves:
            return size
        self._connection.insert(
            "log_leaves",
            ("leaf_index", "kind", "record_id", "leaf_sha256"),
            ((size + i, *leaf) for i, leaf in enumerate(leaves)),
        )
        self._complete(size, [leaf[2] for leaf in leaves])
        return size + len(leaves)

    def _complete(self, size: int, fresh: Sequence[bytes]) -> None:
        """Keep the hash of every subtree that `fresh` leaves after `size` have completed."""
        begun = size // BLOCK * BLOCK
        leaves = [*self._leaves(begun, size), *fresh]
        done = len(leaves) // BLOCK
        nodes = [tree_hash(leaves[i * BLOCK : (i + 1) * BLOCK]) for i in range(done)]
        level, position = BLOCK_LEVEL, begun >> BLOCK_LEVEL
        kept: list[tuple[int, int, bytes]] = []
        while nodes:
            kept += [(level, position + i, node) for i, node in enumerate(nodes)]
            if position % 2:
                nodes = [self._node(level, position - 1), *nodes]
                position -= 1
            nodes = [node_hash(a, b) for a, b in zip(nodes[::2], nodes[1::2], strict=False)]
            level, position = level + 1, position // 2
        if kept:
            self._connection.insert("log_nodes", ("level", "position", "node_sha256"), kept)

    def keep_head(self, tree_size: int, note: str) -> None:
        """Keep a signed head; the first word for a size stands."""
        self._connection.execute(
            "INSERT INTO log_heads (tree_size, note) SELECT ?, ?"
            " WHERE NOT EXISTS (SELECT 1 FROM log_heads WHERE tree_size = ?)",
            (tree_size, note, tree_size),
        )

    # -- reading ---------------------------------------------------------------------------------------------------

    def root(self, size: int | None = None) -> bytes:
        """Give the root of the first `size` leaves; of all where it is absent."""
        return self.subtree(0, len(self) if size is None else size)

    def subtree(self, lo: int, hi: int) -> bytes:
        """Hash the leaves of a stretch that the tree's own splitting gives (`Subtree`).

        Raises
        ------
        TableError
            If a leaf or a subtree that must be there is not.
        """
        n = hi - lo
        if n == 0:
            return EMPTY
        if n < BLOCK:
            return tree_hash(self._leaves(lo, hi))
        height = n.bit_length() - 1
        if n == 1 << height:
            return self._node(height, lo >> height)
        middle = lo + split(n)
        return node_hash(self.subtree(lo, middle), self.subtree(middle, hi))

    def inclusion(self, kind: str, record_id: int, size: int | None = None) -> Inclusion:
        """Prove that a record stands in the log.

        Parameters
        ----------
        size : int, optional
            Of the tree to prove it in; all leaves where absent.

        Raises
        ------
        UnknownNameError
            If there is no such kind.
        NotFoundError
            If the log has no leaf for it, or had none at that size.
        """
        if kind not in KINDS:
            raise UnknownNameError("kind of record", kind, KINDS)
        row = self._connection.execute(
            "SELECT leaf_index, leaf_sha256 FROM log_leaves WHERE kind = ? AND record_id = ?",
            (kind, record_id),
        ).fetchone()
        n = len(self) if size is None else size
        if row is None or row[0] >= n or n > len(self):
            raise NotFoundError(
                f"no {kind} record {record_id} in the first {n} leaves of the log, which has {len(self)}; ask for"
                " another record or size"
            )
        path = inclusion_path(row[0], n, self.subtree)
        return Inclusion(int(row[0]), n, bytes(row[1]), path)

    def consistency(self, old: int, size: int | None = None) -> list[bytes]:
        """Prove that the log of today begins with the log of `old` leaves.

        Raises
        ------
        NotFoundError
            If the log never had that size.
        """
        n = len(self) if size is None else size
        if not 0 < old <= n <= len(self):
            raise NotFoundError(
                f"the log has {len(self)} leaves: it cannot be shown to go from {old} to {n}; give sizes from 1 to that"
            )
        return consistency_path(old, n, self.subtree)

    def head(self, size: int) -> str | None:
        """Give the signed head of a size, or None where none was signed."""
        row = self._connection.execute("SELECT note FROM log_heads WHERE tree_size = ?", (size,)).fetchone()
        return None if row is None else str(row[0])

    def heads(self) -> list[str]:
        """Give the signed heads, oldest first."""
        return [row[0] for row in self._connection.execute("SELECT note FROM log_heads ORDER BY tree_size")]

    def faults(
        self, records: Iterable[Written], public: PublicKey | None, retired: Stretches = ()
    ) -> list[str]:
        """Hold the log against what stands in the book, record by record in the order of the log.

        Parameters
        ----------
        records : iterable of Written
            Every record in the book that a leaf belongs to, in the order of the leaves.
        public : PublicKey or None
            Checks the heads' signatures.
        retired : sequence of (int, int)
            Leaves whose entries a retirement took out of the book.

        Returns
        -------
        list of str
            What is wrong, for people; empty where nothing is.
        """
        faults: list[str] = []
        rows = self._connection.execute(
            "SELECT leaf_index, kind, record_id, leaf_sha256 FROM log_leaves ORDER BY leaf_index"
        ).fetchall()
        leaves = [bytes(row[3]) for row in rows]
        if [row[0] for row in rows] != list(range(len(rows))):
            faults.append("the leaves are not numbered without a hole: some were removed")
        by_record = {(row[1], row[2]): (row[0], bytes(row[3])) for row in rows}
        for record in records:
            _, leaf = by_record.pop((record.kind, record.record_id), (0, None))
            if leaf is None:
                faults.append(
                    f"{record.kind} record {record.record_id} has no leaf: it was put in from outside"
                )
            elif leaf != leaf_hash(leaf_data(record)):
                faults.append(f"{record.kind} record {record.record_id} says something else than its leaf")
        faults += [
            f"{kind} record {i} is gone: only its leaf is left"
            for (kind, i), (index, _) in by_record.items()
            if kind not in _ENTRIES or not is_covered(index, retired)
        ]
        faults += self._node_faults(leaves)
        faults += _head_faults(leaves, self.heads(), public)
        return faults

    def _node_faults(self, leaves: Sequence[bytes]) -> list[str]:
        """Hold every kept subtree against the leaves: the next head would be signed over it."""
        nodes = {
            (level, position): bytes(node)
            for level, position, node in self._connection.execute(
                "SELECT level, position, node_sha256 FROM log_nodes ORDER BY level, position"
            )
        }
        levels = Levels(leaves)
        due = {
            (level, position): levels.subtree(position << level, (position + 1) << level)
            for level in range(BLOCK_LEVEL, len(leaves).bit_length())
            for position in range(len(leaves) >> level)
        }
        return [
            f"the kept subtree {position} of level {level} is not that of its leaves"
            for level, position in sorted(due.keys() | nodes.keys())
            if due.get((level, position)) != nodes.get((level, position))
        ]

    def _leaves(self, lo: int, hi: int) -> list[bytes]:
        if lo == hi:
            return []
        found = [
            bytes(row[0])
            for row in self._connection.execute(
                "SELECT leaf_sha256 FROM log_leaves WHERE leaf_index >= ? AND leaf_index < ? ORDER BY leaf_index",
                (lo, hi),
            )
        ]
        if len(found) != hi - lo:
            raise TableError(
                f"the ledger's log has {len(found)} of its leaves {lo} to {hi - 1}; it was altered: restore it"
            )
        return found

    def _node(self, level: int, position: int) -> bytes:
        row = self._connection.execute(
            "SELECT node_sha256 FROM log_nodes WHERE level = ? AND position = ?", (level, position)
        ).fetchone()
        if row is None:
            raise TableError(
                f"the ledger's log lacks node {position} of level {level}; it was altered: restore it"
            )
        return bytes(row[0])


def _head_faults(leaves: Sequence[bytes], notes: Sequence[str], public: PublicKey | None) -> list[str]:
    levels, faults, signed = Levels(leaves), [], 0
    for note in notes:
        head = TreeHead.read(note)
        if public is not None:
            try:
                public.open(note)
            except SignatureError as fault:
                faults.append(f"the head of {head.tree_size} leaves: {fault}")
        if head.tree_size > len(leaves):
            faults.append(
                f"a head of {head.tree_size} leaves stands over a log of {len(leaves)}: it was rolled back"
            )
        elif levels.root(head.tree_size) != head.root:
            faults.append(f"the first {head.tree_size} leaves are not those that were signed")
        signed = max(signed, head.tree_size)
    if public is not None and signed < len(leaves):
        faults.append(
            f"leaves {signed} to {len(leaves) - 1} are under no signed head; where you know them, `gridmargin ledger head`"
            " signs"
        )
    return faults
