"""Merkle trees in the shapes of RFC 6962: hashes of leaves and nodes, inclusion and consistency proofs.

Functions that compute and nothing else. A tree is given by how many leaves it has and by `Subtree`, which hashes the
leaves of a stretch; where they are kept is not known here.

Sources: RFC 6962 section 2.1 (hashes, proofs) and RFC 9162 sections 2.1.3.2 and 2.1.4.2 (how proofs are checked).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

Subtree = Callable[[int, int], bytes]
"""Gives the hash of the tree over leaves `lo` to `hi`, the last one outside."""

EMPTY = hashlib.sha256(b"").digest()
"""The root of a tree without leaves."""


def leaf_hash(data: bytes) -> bytes:
    """Hash a leaf: SHA-256 of 0x00 and the data."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees into one: SHA-256 of 0x01, left and right."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def split(n: int) -> int:
    """Give the largest power of two below `n`: where a tree of n > 1 leaves parts into left and right."""
    return 1 << ((n - 1).bit_length() - 1)


def tree_hash(leaves: Sequence[bytes]) -> bytes:
    """Give the root over the hashes of all leaves."""
    if not leaves:
        return EMPTY
    level = list(leaves)
    while len(level) > 1:
        level = _level_above(level) + ([level[-1]] if len(level) % 2 else [])
    return level[0]


def _level_above(level: Sequence[bytes]) -> list[bytes]:
    sha256 = hashlib.sha256
    return [
        sha256(b"\x01" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)
    ]


class Levels:
    """A tree held in memory: every complete subtree's hash, level by level, so that any stretch is hashed quickly.

    Parameters
    ----------
    leaves : sequence of bytes
        Hashes of the leaves.
    """

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._levels = [list(leaves)]
        while len(self._levels[-1]) > 1:
            self._levels.append(_level_above(self._levels[-1]))

    def __len__(self) -> int:
        return len(self._levels[0])

    def subtree(self, lo: int, hi: int) -> bytes:
        """Hash the leaves of a stretch that the tree's own splitting gives (`Subtree`)."""
        if lo == hi:
            return EMPTY
        n = hi - lo
        height = (n - 1).bit_length()
        if n == 1 << height:
            return self._levels[height][lo >> height]
        middle = lo + split(n)
        return node_hash(self.subtree(lo, middle), self.subtree(middle, hi))

    def root(self, size: int | None = None) -> bytes:
        """Give the root of the first `size` leaves; of all where it is absent."""
        return self.subtree(0, len(self) if size is None else size)


def inclusion_path(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """Give the audit path of a leaf, from its sibling up to the root (RFC 6962, PATH).

    Raises
    ------
    ValueError
        If the tree has no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    path: list[bytes] = []
    lo, hi = 0, size
    while hi - lo > 1:
        middle = lo + split(hi - lo)
        if index < middle:
            path.append(subtree(middle, hi))
            hi = middle
        else:
            path.append(subtree(lo, middle))
            lo = middle
    return path[::-1]


def consistency_path(old: int, size: int, subtree: Subtree) -> list[bytes]:
    """Give the proof that the tree of `size` leaves begins with the tree of `old` leaves (RFC 6962, PROOF).

    Raises
    ------
    ValueError
        If the older tree is empty or larger than the newer one.
    """
    if not 0 < old <= size:
        raise ValueError(f"a tree of {size} leaves cannot follow one of {old}")
    path: list[bytes] = []
    lo, hi, whole = 0, size, True
    while old != hi:
        middle = lo + split(hi - lo)
        if old <= middle:
            path.append(subtree(middle, hi))
            hi = middle
        else:
            path.append(subtree(lo, middle))
            lo, whole = middle, False
    if not whole:
        path.append(subtree(lo, hi))
    return path[::-1]


def root_from_inclusion(leaf: bytes, index: int, size: int, path: Iterable[bytes]) -> bytes | None:
    """Give the root that an audit path leads to, or None where the path does not fit the tree (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return None
    first, last, root = index, size - 1, leaf
    for step in path:
        if last == 0:
            return None
        if first & 1 or first == last:
            root = node_hash(step, root)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            root = node_hash(root, step)
        first, last = first >> 1, last >> 1
    return root if last == 0 else None


def is_consistent(old: int, old_root: bytes, size: int, root: bytes, path: Sequence[bytes]) -> bool:
    """Say whether a proof shows that the tree of `size` leaves begins with that of `old` leaves (RFC 9162, 2.1.4.2)."""
    if old == size:
        return not path and old_root == root
    if not 0 < old < size or not path:
        return False
    steps = list(path)
    if old & (old - 1) == 0:
        steps = [old_root, *steps]
    first, last = old - 1, size - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    older = newer = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if first & 1 or first == last:
            older, newer = node_hash(step, older), node_hash(step, newer)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            newer = node_hash(newer, step)
        first, last = first >> 1, last >> 1
    return last == 0 and older == old_root and newer == root


def stretches(indices: Sequence[int]) -> list[tuple[int, int]]:
    """Give ascending indices as half-open stretches without a hole."""
    if not indices:
        return []
    cuts = [0, *(i + 1 for i, (a, b) in enumerate(pairwise(indices)) if b != a + 1), len(indices)]
    return [(indices[lo], indices[hi - 1] + 1) for lo, hi in pairwise(cuts)]


def without(ranges: Sequence[tuple[int, int]], others: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Give what of ascending stretches the others do not cover."""
    left: list[tuple[int, int]] = []
    at = 0
    for lo, hi in ranges:
        while at < len(others) and others[at][1] <= lo:
            at += 1
        within = at
        while within < len(others) and others[within][0] < hi:
            if others[within][0] > lo:
                left.append((lo, others[within][0]))
            lo = others[within][1]
            within += 1
        at = max(at, within - 1)
        if lo < hi:
            left.append((lo, hi))
    return left


def left_out(size: int, kept: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Give the largest subtrees of a tree that hold none of the kept stretches: with their hashes the root follows.

    Parameters
    ----------
    kept : sequence of (lo, hi)
        Ascending, half-open, apart.
    """

    def walk(lo: int, hi: int, first: int, last: int) -> Iterator[tuple[int, int]]:
        while first < last and kept[first][1] <= lo:
            first += 1
        while first < last and kept[last - 1][0] >= hi:
            last -= 1
        if first == last:
            yield lo, hi
        elif not (kept[first][0] <= lo and kept[first][1] >= hi):
            middle = lo + split(hi - lo)
            yield from walk(lo, middle, first, last)
            yield from walk(middle, hi, first, last)

    if size:
        yield from walk(0, size, 0, len(kept))


def root_of_parts(size: int, parts: dict[tuple[int, int], bytes], leaves: dict[int, bytes]) -> bytes | None:
    """Give the root of a tree from some of its leaves and the hashes of the subtrees left out; None where some is missing."""

    def walk(lo: int, hi: int) -> bytes | None:
        if (lo, hi) in parts:
            return parts[lo, hi]
        if hi - lo == 1:
            return leaves.get(lo)
        middle = lo + split(hi - lo)
        left = walk(lo, middle)
        right = None if left is None else walk(middle, hi)
        return None if left is None or right is None else node_hash(left, right)

    return walk(0, size) if size else EMPTY
