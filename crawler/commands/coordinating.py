"""How ``coordinate`` invites, revokes, and runs a coordinator to its end."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import time
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import msgspec

from crawler.cold.encrypt import recipients
from crawler.collection import Collection
from crawler.commands.console import size
from crawler.commands.destinations import named
from crawler.commands.running import LINE_EVERY, announce, log_to
from crawler.config import Config
from crawler.errors import Interrupted, OutlastError, UsageError
from crawler.frontier.engines import is_volunteer
from crawler.frontier.postgres.desk import Desk
from crawler.frontier.postgres.register import Register
from crawler.model import Seed
from crawler.url import host_of
from crawler.volunteers import tls
from crawler.volunteers import token as tokens
from crawler.volunteers.app import serving
from crawler.volunteers.coordinator import Coordinator
from crawler.volunteers.places import opened
from spiders.registry import get

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    from crawler.cold.destination import Destination
    from crawler.commands.console import Console
    from crawler.frontier.interface import Stats

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,59}")


def of_fleet(root: Path) -> Collection:
    """Open a collection of a fleet. Raises UsageError where it is none, or cannot have volunteers."""
    collection = Collection.open(root)
    if not collection.marker.frontier or is_volunteer(collection.marker):
        raise UsageError(
            f"{root} is of no fleet; archive crawl {collection.marker.seed} --into {root} --frontier postgresql://… "
            "makes it one."
        )
    if collection.marker.spiders:
        raise UsageError(f"{root} is read by a spider of its own, which no volunteer has.")
    if recipients(collection):
        raise UsageError(f"Copies of {root} are encrypted here before they leave; volunteers could not do that.")
    return collection


# Who may join


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """What one volunteer may."""

    label: str
    seconds: float
    quota_bytes: int
    quota_leases: int
    trust: int


def invite(collection: Collection, asked: Invitation, public: str, console: Console) -> int:
    """Print a token."""
    if not _NAME.fullmatch(asked.label):
        raise UsageError(f"{asked.label!r} is no name for a volunteer: letters, digits, spaces, dots, - and _.")
    way = _noted(collection)
    if public:
        way = replace(way, public=tokens.checked(public)) if way else Way(public=tokens.checked(public))
    if way is None:
        raise UsageError("Start the coordinator first (archive coordinate DIR --to …), or say --public URL.")
    secret = tokens.new_secret()
    with closing(Register(collection.marker.frontier)) as register:
        register.invite(
            secret, label=asked.label, trust=asked.trust, quota_bytes=asked.quota_bytes,
            quota_leases=asked.quota_leases, seconds=asked.seconds,
        )  # fmt: skip
    token = tokens.Token(url=way.public, pin=way.pin, secret=secret)
    console.result(str(token))
    console.say(f"{asked.label} joins with: archive join TOKEN. It is good once; whoever has it may.")
    console.summary(exit_code=0, token=str(token), name=asked.label, url=way.public)
    return 0


def revoke(collection: Collection, node: int, console: Console) -> int:
    """Let a volunteer do nothing any more."""
    with closing(Register(collection.marker.frontier)) as register:
        if not register.revoke(node):
            raise UsageError(f"There is no volunteer {node}.")
    console.result(f"Node {node} is revoked: what it holds goes to others, what it has proven stays.")
    console.summary(exit_code=0, node=node)
    return 0


# Where it answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Where a coordinator answers, and how volunteers know it."""

    public: str
    pin: str = ""
    host: str = ""
    port: int = 0
    certificate: Path | None = None
    key: Path | None = None

    @classmethod
    def of(
        cls, collection: Collection, listen: str, public: str, certificate: Path | None, key: Path | None, *,
        is_plain: bool,
    ) -> Self:  # fmt: skip
        """Return what the options say. Raises UsageError."""
        host, _, port = listen.rpartition(":")
        host = host.strip("[]") or "127.0.0.1"
        if not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise UsageError(f"--listen {listen}: write HOST:PORT.")
        is_here, pin = tokens.is_loopback(host), ""
        if is_plain and not (is_here or public.startswith("https://")):
            raise UsageError("--plain wants --public https://…: the proxy that volunteers speak to.")
        if not is_plain and not is_here and certificate is None:
            certificate = collection.root / "coordinator.pem"
            pin = tls.own(certificate, host_of(public) if public else host)
        if not public:
            if host in {"0.0.0.0", "::"}:  # noqa: S104 - that is what was asked
                raise UsageError(
                    "--listen on all addresses wants --public https://HOST:PORT, where volunteers find it."
                )
            named_host = f"[{host}]" if ":" in host else host
            public = f"{'https' if certificate else 'http'}://{named_host}:{port}"
        return cls(public=tokens.checked(public), pin=pin, host=host, port=int(port), certificate=certificate, key=key)

    def context(self) -> ssl.SSLContext | None:
        """Return what TLS needs; None where there is none."""
        return tls.context(self.certificate, self.key) if self.certificate else None

    def listener(self) -> socket.socket:
        """Return a socket that listens. Raises UsageError where the address is taken."""
        try:
            return socket.create_server(
                (self.host, self.port), family=socket.AF_INET6 if ":" in self.host else socket.AF_INET
            )
        except OSError as e:
            raise UsageError(f"It cannot listen on {self.host} port {self.port}: {e.strerror}.") from e


def _note(collection: Collection, way: Way) -> None:
    path = collection.root / "coordinator.json"
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps({"public": way.public, "pin": way.pin}), "utf-8")
    part.replace(path)


def _noted(collection: Collection) -> Way | None:
    try:
        return Way(**json.loads((collection.root / "coordinator.json").read_text("utf-8")))
    except OSError:
        return None
    except (ValueError, TypeError) as e:
        raise UsageError(f"{collection.root / 'coordinator.json'} is damaged; say --public URL.") from e


# A run


def destination(where: str | None, endpoints: tuple[str, ...]) -> Destination:
    """Return the one place where segments go. Raises UsageError."""
    if not where:
        raise UsageError("Say where volunteers' segments go: --to s3://BUCKET/PREFIX, file:///PATH, or a name.")
    (found,) = named((where,), endpoints)
    if found.public:
        raise UsageError(f"Strangers may read at {found.name}, and volunteers' segments may hold what is restricted.")
    return found


def run(collection: Collection, to: Destination, way: Way, console: Console, *, term: float, sample: float) -> int:
    """Coordinate until all is done."""
    marker = collection.marker
    spider = get(marker.platform)
    seed = Seed(url=marker.seed, since=marker.since, until=marker.until, options=marker.options)
    with collection.lock(), closing(way.listener()) as listener, closing(Desk(marker.frontier, marker.id)) as desk:
        log_to(collection)
        stored = desk.meta_get("config")
        config = msgspec.json.decode(stored, type=Config, strict=False) if stored else Config()
        config = replace(config, listed_hosts=tuple(sorted({host_of(url) for url in marker.seeds})))
        _note(collection, way)
        place = opened(collection, to)
        coordinator = Coordinator(
            collection, desk, config, seed, spider, place, term=term, sample=sample, progress=_progress(console),
            say=console.say, tell=lambda event: announce(event, console),
        )  # fmt: skip
        console.say(f"Coordinating {marker.seed} at {way.public}; segments go to {to.where}, {place.how}.")
        console.say(f"archive coordinate {collection.root} --invite NAME prints what a volunteer joins with.")
        console.event("coordinating", url=way.public, pin=way.pin, to=to.name)
        with closing(coordinator):
            try:
                return _tell(asyncio.run(_answering(coordinator, listener, way, console)), console)
            except OutlastError as e:
                if not isinstance(e, Interrupted):
                    console.summary(exit_code=e.exit_code, error=str(e))
                raise


async def _answering(coordinator: Coordinator, listener: socket.socket, way: Way, console: Console) -> Stats:
    def pressed() -> None:
        console.say("Stopping: volunteers wait for the next start, and nothing is lost.")
        coordinator.stop(Interrupted())

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, pressed)
    async with serving(coordinator, listener, way.context()):
        return await coordinator.run()


def _progress(console: Console) -> Callable[[Stats], None]:
    last = [0.0]

    def show(stats: Stats) -> None:
        console.event("status", done=stats.done, queued=stats.queued, leased=stats.leased, held=stats.held)
        if time.monotonic() - last[0] >= LINE_EVERY:
            last[0] = time.monotonic()
            console.say(
                f"{stats.done:,} done, {size(stats.bytes)}, {stats.held:,} with volunteers and not proven yet, "
                f"{stats.leased - stats.held:,} being fetched, {stats.queued:,} queued"
            )

    return show


def _tell(stats: Stats, console: Console) -> int:
    unfinished = stats.failed + stats.parked + stats.blocked
    code = 3 if unfinished else 0
    console.say(f"{stats.done:,} done, {stats.captures:,} captures, {size(stats.bytes)}.")
    console.say(f"{unfinished:,} failed, are parked or wait." if unfinished else "Complete.")
    console.summary(
        exit_code=code, done=stats.done, captures=stats.captures, bytes=stats.bytes, failed=stats.failed,
        parked=stats.parked, queued=stats.queued,
    )  # fmt: skip
    return code
