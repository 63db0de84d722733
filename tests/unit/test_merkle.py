"""Merkle trees against the vectors of Certificate Transparency, and against themselves."""

from __future__ import annotations

import hashlib
import random

import pytest

from crawler import merkle

#: The leaves and roots that Certificate Transparency's own tests use for RFC 6962 trees.
LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


@pytest.mark.parametrize("count", ROOTS)
def test_the_roots_are_those_of_the_standard(count: int) -> None:
    assert merkle.root([merkle.leaf([bytes.fromhex(one)]) for one in LEAVES[:count]]).hex() == ROOTS[count]


def test_the_empty_tree_is_that_of_the_standard() -> None:
    assert merkle.root([]) == hashlib.sha256().digest()


@pytest.mark.parametrize("size", range(1, 34))
def test_every_path_leads_to_the_root_and_no_other_does(size: int) -> None:
    leaves = [merkle.leaf([bytes([n])]) for n in range(size)]
    root = merkle.root(leaves)
    for index, leaf in enumerate(leaves):
        path = merkle.path(leaves, index)
        assert merkle.climb(leaf, index, size, path) == root
        assert merkle.climb(merkle.leaf([b"other"]), index, size, path) != root
        assert merkle.climb(leaf, index, size, [*path, root]) is None
        assert merkle.climb(leaf, size, size, path) is None
        if path:
            assert merkle.climb(leaf, index, size, path[:-1]) is None
            assert merkle.climb(leaf, index ^ 1, size, path) != root


@pytest.mark.parametrize("step", [1, 2, 7, 40, 64, 1000])
def test_leaves_are_cut_where_records_end_however_they_are_read(step: int) -> None:
    chance = random.Random(step)
    parts = [chance.randbytes(chance.randrange(1, 60)) for _ in range(12)]
    data, leaves = b"".join(parts), merkle.Leaves()
    ends, at = [], 0
    for part in parts:
        at += len(part)
        ends.append(at)
    for start in range(0, len(data), step):
        # What was fed before belongs to the part that goes on, as with a reader that reads when it has used up all.
        leaves.feed(data[start : start + step])
        while ends and ends[0] <= start + step:
            leaves.cut(ends.pop(0))
    assert leaves.hashes == [merkle.leaf([part]) for part in parts]
