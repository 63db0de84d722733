"""Export as a bag: the collection as it is, the parcel that libraries hand each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawler.evidence.bagit import bag
from crawler.reading.export import Written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.reading.export import Order


def bagit(order: Order) -> Iterator[Written]:
    """Write a bag; what is told of it is the list of its sums.

    Raises UsageError where ``order.output`` exists or a segment is not here, Locked while a run holds the collection.
    """
    with order.collection.lock():
        bag(order.collection, order.output)
    yield Written(path=order.output / "manifest-sha256.txt")
