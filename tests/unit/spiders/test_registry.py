"""Who is in the registry: ours always, other people's when they load, and never at anybody's cost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from crawler.errors import UsageError
from spiders import registry
from spiders.base import PlatformSpider

OURS = [*sorted(registry.BUILT_IN.keys() - {"generic"}), "generic"]


class Friendster(PlatformSpider):
    name = "friendster"


class Misnamed(PlatformSpider):
    name = "myspace"


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Pretend that distributions with these entry points (name → object reference) are installed."""

    def installed(**points: str) -> None:
        known = [EntryPoint(name, value, registry.GROUP) for name, value in points.items()]

        def entry_points(*, group: str, name: str | None = None) -> list[EntryPoint]:
            assert group == "outlast.spiders"
            return [point for point in known if name in {None, point.name}]

        monkeypatch.setattr(registry, "entry_points", entry_points)

    registry._load.cache_clear()
    monkeypatch.setattr(registry, "_adopted", {})  # what other tests adopted
    monkeypatch.setitem(sys.modules, "plugged", sys.modules[__name__])
    yield installed
    registry._load.cache_clear()


def test_ours(install: Any) -> None:
    install()
    assert registry.names() == OURS
    assert [spider.name for spider in registry.all_classes()] == registry.names()
    assert registry.get("parler").title == "Parler"
    assert not registry.broken()


def test_a_plug_in(install: Any) -> None:
    install(friendster="plugged:Friendster")
    assert registry.names() == [*sorted(["friendster", *OURS[:-1]]), "generic"]
    assert registry.get("friendster") is Friendster


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("no_such_module:Spider", "ModuleNotFoundError"),
        ("plugged:NoSuchSpider", "AttributeError"),
        ("plugged:pytest", "not a PlatformSpider"),
        ("builtins:int", "not a PlatformSpider"),
        ("plugged:Misnamed", "'myspace'"),
    ],
)
def test_a_broken_plug_in_is_told_of_and_nothing_else_suffers(value: str, why: str, install: Any) -> None:
    install(orkut=value)
    assert registry.names() == OURS
    assert registry.broken().keys() == {"orkut"}
    assert why in registry.broken()["orkut"]
    with pytest.raises(UsageError, match="orkut"):
        registry.get("orkut")


def test_a_plug_in_does_not_take_a_name_of_ours(install: Any) -> None:
    install(parler="plugged:Friendster")
    assert registry.get("parler").title == "Parler"
    assert registry.broken().keys() == {"parler"}


def test_a_name_nobody_has(install: Any) -> None:
    install()
    with pytest.raises(UsageError, match=r"'vine'.*parler.*, generic"):
        registry.get("vine")


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    program = (
        "import sys, spiders.registry; print([m for m in sys.modules if m in {'spiders.parler', 'spiders.generic'}])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3]
    )
    assert done.stdout.strip() == "[]"
