"""What a push will send, and what that will cost: an estimate from list prices, which the user may set right."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields, replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from crawler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from crawler.cold.destination import Destination
    from crawler.cold.objects import Object

_GB = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What one class costs at one provider, in USD."""

    #: End of the endpoint's host name.
    host: str
    #: Storage class; empty for the ordinary one.
    storage_class: str
    #: A GB and month, a thousand requests that write, a GB that is fetched and leaves.
    month: float
    put: float
    back: float
    #: Least days that are paid for, and bytes that each object is charged for beside its own.
    days: float = 0
    extra: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a push to one destination sends and costs; the prices are None where nobody knows them."""

    destination: str
    objects: int
    bytes: int
    #: Requests that write.
    requests: int
    #: USD to send it, to keep it a month, to have kept it as long as must be paid for, and to get it back once.
    once: float | None = None
    month: float | None = None
    least: float | None = None
    back: float | None = None


def prices(tables: object = ()) -> tuple[str, list[Price]]:
    """Return the date of our prices, and all: the user's ``[[price]]`` tables, then ours. Raises UsageError."""
    ours = tomllib.loads(files("crawler.cold").joinpath("prices.toml").read_text("utf-8"))
    if not isinstance(tables, list | tuple):
        raise UsageError("Prices are written as [[price]] tables.")
    return str(ours["date"]), [_price(table) for table in (*tables, *ours["price"])]


def _price(table: Any) -> Price:
    facts = dict(table) if isinstance(table, dict) else {}
    facts["storage_class"] = facts.pop("class", "")
    known = {one.name for one in fields(Price)}
    numbers = {name: value for name, value in facts.items() if name not in {"host", "storage_class"}}
    is_right = known >= facts.keys() >= {"host", "month", "put", "back"}
    if not is_right or not all(type(value) in {int, float} and value >= 0 for value in numbers.values()):
        raise UsageError(
            "A [[price]] has a host, a class, and numbers: month, put, back, and if need be days and extra."
        )
    return Price(**facts)


def estimate(destination: Destination, things: Sequence[Object], known: Iterable[Price]) -> Estimate:
    """Return what sending these objects to a destination costs."""
    plain = Estimate(
        destination=destination.name, objects=len(things), bytes=sum(one.bytes for one in things),
        requests=sum(_requests(one) for one in things),
    )  # fmt: skip
    if destination.path:
        return replace(plain, once=0.0, month=0.0, least=0.0, back=0.0)
    table = list(known)
    cold, hot = (_found(destination, kind, table) for kind in (destination.storage_class, destination.hot_class))
    if cold is None or hot is None:
        return plain
    once = month = least = back = 0.0
    for one in things:
        price = hot if one.is_hot else cold
        kept = (one.bytes + price.extra) / _GB * price.month
        once += _requests(one) / 1000 * price.put
        month += kept
        least += kept * price.days / 30
        back += one.bytes / _GB * price.back
    return replace(plain, once=once, month=month, least=least, back=back)


def _requests(one: Object) -> int:
    return len(one.part_md5) + (2 if len(one.part_md5) > 1 else 0)


def _found(destination: Destination, storage_class: str, table: Sequence[Price]) -> Price | None:
    host = urlsplit(destination.endpoint or "https://s3.amazonaws.com").hostname or ""
    fitting = (one for one in table if host == one.host or host.endswith(f".{one.host}"))
    return next((one for one in fitting if one.storage_class == storage_class), None)
