"""Who crawled, with what, how it was set up, and how right the clock was: the warcinfo of every segment."""

from __future__ import annotations

import ctypes
import ctypes.util
import platform
import sys
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from crawler.collection import Marker
    from crawler.config import Config

HOMEPAGE = "https://outlast.example/about"
_SECRET = frozenset({"proxy"})


def outlast_version() -> str:
    """Return the installed version, or 0 from a bare checkout."""
    try:
        return version("outlast")
    except PackageNotFoundError:
        return "0"


def user_agent(config: Config) -> str:
    """Return the User-Agent: the tool, its page, and how to reach the operator."""
    if config.user_agent:
        return config.user_agent
    contact = f"; {config.contact}" if config.contact else ""
    return f"Outlast/{outlast_version()} (+{HOMEPAGE}{contact})"


def warcinfo_fields(marker: Marker, config: Config) -> dict[str, str]:
    """Return the warcinfo fields of a run (WARC/1.1 section 6.2), with every setting that is not a default."""
    told = {
        "software": f"Outlast/{outlast_version()} Python/{platform.python_version()} Scrapy/{_version('scrapy')} "
        f"warcio/{_version('warcio')}",
        "format": "WARC File Format 1.1",
        "conformsTo": "https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/",
        "robots": config.robots,
        "http-header-user-agent": user_agent(config),
        "isPartOf": f"{marker.seed} ({marker.id})",
        "operator": config.operator or config.contact,
        "description": config.purpose,
        "outlast-seed": marker.seed,
        "outlast-platform": marker.platform,
        "outlast-spider": " ".join(f"{one['name']} sha256:{one['sha256']}" for one in marker.spiders[-1:]),
        "outlast-tls-verification": "on" if config.verify else "OFF",
        "outlast-clock": clock(),
        "outlast-settings": _settings(config),
    }
    return {name: value for name, value in told.items() if value}


def _settings(config: Config) -> str:
    default = type(config)()
    said = {
        f.name: "(set)" if f.name in _SECRET else getattr(config, f.name)
        for f in fields(config)
        if f.name != "sources" and getattr(config, f.name) != getattr(default, f.name)
    }
    told = {name: {"value": value, "from": config.sources.get(name, "default")} for name, value in said.items()}
    return msgspec.json.encode(told).decode()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "?"


class _Timex(ctypes.Structure):
    """The head of Linux's ``struct timex`` (adjtimex(2)); the rest is padding here."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def clock() -> str:
    """Say what the kernel knows of the clock's error (adjtimex(2)): synchronised or not, and by how much at most."""
    if not sys.platform.startswith("linux"):
        return "unknown"
    facts = _Timex(modes=0)
    state = ctypes.CDLL(ctypes.util.find_library("c")).adjtimex(ctypes.byref(facts))
    if state < 0:
        return "unknown"
    synchronised = "synchronised" if not facts.status & 0x40 else "not synchronised"
    return f"{synchronised}; estimated error {facts.esterror} us; maximum error {facts.maxerror} us"
