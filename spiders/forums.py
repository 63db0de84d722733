"""The platforms that ``forum.py`` walks: one each for what people call a forum's software."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from spiders import forum_engines as engines
from spiders.forum import ForumSpider

if TYPE_CHECKING:
    from spiders.forum_engines import Engine


class PhpbbSpider(ForumSpider):
    """phpBB 3."""

    name = "phpbb"
    title: ClassVar[str] = "phpBB"
    engines: ClassVar[tuple[Engine, ...]] = (engines.PHPBB,)


class XenforoSpider(ForumSpider):
    """XenForo 1 and 2."""

    name = "xenforo"
    title: ClassVar[str] = "XenForo"
    engines: ClassVar[tuple[Engine, ...]] = (engines.XENFORO,)


class VbulletinSpider(ForumSpider):
    """vBulletin 3 to 6."""

    name = "vbulletin"
    title: ClassVar[str] = "vBulletin"
    engines: ClassVar[tuple[Engine, ...]] = (engines.VBULLETIN, engines.VBULLETIN5)


class SmfSpider(ForumSpider):
    """Simple Machines Forum."""

    name = "smf"
    title: ClassVar[str] = "Simple Machines Forum"
    engines: ClassVar[tuple[Engine, ...]] = (engines.SMF,)


class InvisionSpider(ForumSpider):
    """Invision Community."""

    name = "invision"
    title: ClassVar[str] = "Invision Community"
    engines: ClassVar[tuple[Engine, ...]] = (engines.INVISION,)


class ProboardsSpider(ForumSpider):
    """ProBoards."""

    name = "proboards"
    title: ClassVar[str] = "ProBoards"
    engines: ClassVar[tuple[Engine, ...]] = (engines.PROBOARDS,)


class FlaskbbSpider(ForumSpider):
    """FlaskBB."""

    name = "flaskbb"
    title: ClassVar[str] = "FlaskBB"
    engines: ClassVar[tuple[Engine, ...]] = (engines.FLASKBB,)
