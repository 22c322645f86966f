"""Trees have the shapes of RFC 6962: known roots, and every proof checks against the definition and nothing else does."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.ledger.merkle import (
    Levels,
    consistency_path,
    inclusion_path,
    is_consistent,
    leaf_hash,
    left_out,
    root_from_inclusion,
    root_of_parts,
    stretches,
    tree_hash,
)

# Inputs and roots of the test data that Certificate Transparency's reference implementation publishes.
INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def defined_root(data):
    """MTH as RFC 6962, section 2.1, writes it down."""
    if not data:
        return hashlib.sha256(b"").digest()
    if len(data) == 1:
        return hashlib.sha256(b"\x00" + data[0]).digest()
    k = 1
    while k * 2 < len(data):
        k *= 2
    return hashlib.sha256(b"\x01" + defined_root(data[:k]) + defined_root(data[k:])).digest()


def leaves_of(n):
    return [leaf_hash(str(i).encode()) for i in range(n)]


def test_roots_are_those_of_the_published_vectors():
    data = [bytes.fromhex(text) for text in INPUTS]
    for n, root in enumerate(ROOTS, start=1):
        assert tree_hash([leaf_hash(d) for d in data[:n]]).hex() == root == defined_root(data[:n]).hex()


@given(st.integers(0, 200))
def test_the_root_is_the_one_that_the_definition_gives(n):
    levels = Levels(leaves_of(n))
    assert tree_hash(leaves_of(n)) == levels.root() == defined_root([str(i).encode() for i in range(n)])


@given(st.integers(1, 150), st.data())
def test_an_audit_path_leads_to_the_root_and_no_other_leaf_or_place_does(n, data):
    index = data.draw(st.integers(0, n - 1))
    leaves = leaves_of(n)
    path = inclusion_path(index, n, Levels(leaves).subtree)
    root = tree_hash(leaves)
    assert root_from_inclusion(leaves[index], index, n, path) == root
    assert root_from_inclusion(leaf_hash(b"forged"), index, n, path) != root
    other = data.draw(st.integers(0, n))
    if other != index:
        assert root_from_inclusion(leaves[index], other, n, path) != root
    assert root_from_inclusion(leaves[index], index, n, [*path, root]) != root
    if path:
        assert root_from_inclusion(leaves[index], index, n, path[:-1]) != root


@given(st.integers(1, 150), st.data())
def test_a_log_that_grew_proves_it_and_one_that_was_rewritten_cannot(n, data):
    old = data.draw(st.integers(1, n))
    leaves = leaves_of(n)
    levels = Levels(leaves)
    path = consistency_path(old, n, levels.subtree)
    assert is_consistent(old, levels.root(old), n, levels.root(), path)
    rewritten = [leaf_hash(b"rewritten"), *leaves[1:]]
    other = Levels(rewritten)
    forged = consistency_path(old, n, other.subtree)
    assert not is_consistent(old, levels.root(old), n, other.root(), forged)
    assert not is_consistent(old, other.root(old), n, levels.root(), path)
    if old < n:
        assert not is_consistent(old, levels.root(old), n, levels.root(), path[:-1])
        assert not is_consistent(old, levels.root(old), n, levels.root(), [*path, leaves[0]])


@given(st.integers(1, 120), st.data())
def test_a_part_of_the_leaves_and_the_hashes_of_the_rest_give_the_same_root(n, data):
    kept = sorted(data.draw(st.sets(st.integers(0, n - 1), min_size=1)))
    leaves = leaves_of(n)
    levels = Levels(leaves)
    rest = {stretch: levels.subtree(*stretch) for stretch in left_out(n, stretches(kept))}
    held = {i: leaves[i] for i in kept}
    assert root_of_parts(n, rest, held) == levels.root()
    covered = sorted([i for lo, hi in rest for i in range(lo, hi)] + kept)
    assert covered == list(range(n))
    assert root_of_parts(n, rest, {**held, kept[0]: leaf_hash(b"altered")}) != levels.root()
    assert root_of_parts(n, rest, {i: leaf for i, leaf in held.items() if i != kept[0]}) is None


def test_what_is_not_in_the_tree_is_refused():
    subtree = Levels(leaves_of(5)).subtree
    with pytest.raises(ValueError, match="no leaf 5"):
        inclusion_path(5, 5, subtree)
    with pytest.raises(ValueError, match="cannot follow"):
        consistency_path(6, 5, subtree)
