"""The previews of a public channel at t.me (as they are served to anybody): python -P -m crawler.replicas.telegram.

What clients trip over: pictures are backgrounds, and videos that are too big have no source; the newest message of a
page is the last; what was deleted leaves a hole, and so do the parts of an album but its first; a link to newer messages
looks like the one to older ones; numbers of the channel's header are rounded; a message that is not there answers 200,
and so does the page of nobody; a channel without a preview redirects to its page.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from crawler.replicas.images import jpeg
from crawler.replicas.kit import PlatformSite, html, main, moved, query, route, whole

if TYPE_CHECKING:
    from crawler.replicas.exchange import Answer, Request

_HOME, _STORE, _STYLES = "t.me", "cdn4.telesco.pe", "telegram.org"
_CHANNEL, _PAGE = "herontea", 20


@dataclass
class File:
    """A photo, video or voice. Its address in lists may have ended; ``path`` is the one that holds."""

    kind: str
    part: int
    path: str
    listed: str


@dataclass
class Message:
    """A message; of an album, all of it."""

    number: int
    at: datetime
    text: str
    files: list[File] = field(default_factory=list)
    preview: str = ""
    document: str = ""
    is_too_big: bool = False
    is_service: bool = False
    reply_to: int | None = None


class TelegramSite(PlatformSite):
    """One channel."""

    name = "telegram"
    title = "A public channel of Telegram."
    hosts = (_HOME, _STORE, _STYLES)
    traps: ClassVar[dict[str, str]] = {
        "nopreview": "the channel has no preview",
        "holes": "most messages were deleted",
        "albums": "every second message is an album",
        "expiring": "of every second file the address in the list has ended",
        "repeat": "the first page says that there are older messages, and shows itself again",
    }

    def build(self) -> None:
        """Make the messages, oldest first."""
        self._at = self.clock.moment - timedelta(days=300)
        self._number = 0
        self._messages: list[Message] = []
        self._again = 0
        self._is_shown = "nopreview" not in self.trap
        for name in ("web", "widget") if self._is_shown else ("web",):
            self.asset(f"/css/telegram-{name}.css")
        self._face = self.image(f"/file/face_{_CHANNEL}.jpg", kind="avatar")
        while len(self._messages) < self.size:
            self._write()
        self._enter()

    def _write(self) -> None:
        self._number += 1 + (self.rng.randrange(12) if "holes" in self.trap else self.rng.random() < 0.1)
        self._at += timedelta(minutes=10 + self.rng.randrange(400))
        n, turn = len(self._messages), self._number
        one = Message(turn, self._at, self.says(10, public=self._is_shown))
        if n == 0:
            one.text, one.is_service = "Channel created", True
        elif n % 11 == 3 or ("albums" in self.trap and n % 2):
            one.files = [self._file("video" if part == 2 else "photo", turn + part) for part in range(2 + n % 4)]
            self._number += len(one.files) - 1
        elif n % 3 == 1:
            one.files = [self._file("photo", turn)]
        elif n % 7 == 5:
            one.files = [self._file("video", turn)]
            one.preview = self.image(f"/file/thumb_{turn}.jpg", kind="preview", public=self._is_shown)
        elif n % 13 == 6:
            one.is_too_big, one.preview = (
                True,
                self.image(f"/file/thumb_{turn}.jpg", kind="preview", public=self._is_shown),
            )
        elif n % 17 == 8:
            one.document = "tea.pdf"
        elif n % 19 == 2:
            one.files = [self._file("audio", turn)]
        one.reply_to = self.rng.choice(self._messages).number if n > 3 and n % 5 == 0 else None
        self._messages.append(one)

    def _file(self, kind: str, part: int) -> File:
        ending, content_type = {
            "photo": ("jpg", "image/jpeg"), "video": ("mp4", "video/mp4"), "audio": ("oga", "audio/ogg"),
        }[kind]  # fmt: skip
        path = f"/file/{kind}_{part}.{ending}"
        data = jpeg(path) if kind == "photo" else f"{path} ".encode() * 300
        self.file(path, data, content_type)
        has_ended = "expiring" in self.trap and part % 2 == 0
        self._again += has_ended
        listed = f"/file/ended_{kind}_{part}.{ending}" if has_ended else path
        named = {"photo": "image", "video": "video-file"}.get(kind, kind)
        digest = hashlib.sha256(data).hexdigest()
        self.books.add(named, f"{_CHANNEL}/{part}", path, item="Media", public=self._is_shown, sha256=digest)
        return File(kind, part, path, listed)

    def _enter(self) -> None:
        self.books.add("account", _CHANNEL, f"/{_CHANNEL}", item="Account")
        for one in self._messages:
            identity = f"{_CHANNEL}/{one.number}"
            self.books.add("post", identity, item="Post", public=self._is_shown, at=one.at.isoformat())
            for path in (f"/{identity}", f"/{identity}?embed=1&mode=tme"):
                self.books.add("page", path, path, public=self._is_shown)
        self.books.listing("messages", len(self._messages) if self._is_shown else 1, _PAGE)
        if self._again and self._is_shown:
            self.books.listing("files whose address has ended", 2 * self._again, 1)

    # What it answers

    def missing(self, request: Request) -> Answer:
        """Answer for nobody with 200, as t.me does; its store says 404."""
        if request.host != _HOME:
            return html("404", "Not found", status=404)
        return _page("Telegram: Contact", '<div class="tgme_page"><i class="tgme_page_icon"></i></div>', "web")

    @route(r"/s/([A-Za-z]\w{3,31})")
    def preview(self, request: Request, channel: str) -> Answer:
        if channel != _CHANNEL or not self._is_shown:
            return moved(f"/{channel}")
        asked = query(request)
        before, after = whole(asked.get("before"), 0), whole(asked.get("after"), 0)
        older = [one for one in self._messages if one.number < before] if before > 0 else self._messages
        newer = [one for one in self._messages if one.number > after][:_PAGE]
        shown = newer if after else older[-_PAGE:] or self._messages[:_PAGE]
        said = "".join(self._bubble(one) for one in shown)
        has_older = shown[0] is not self._messages[0] or "repeat" in self.trap
        if has_older:
            said = _more("before", shown[0].number) + said
        if before > 0 and shown[-1] is not self._messages[-1]:
            said += _more("after", shown[-1].number)
        return _page(_CHANNEL, self._header() + f'<section class="tgme_channel_history">{said}</section>', "web")

    def _header(self) -> str:
        files = [file for one in self._messages for file in one.files]
        counts = {"subscribers": "1.2K", "photos": str(sum(one.kind == "photo" for one in files)), "links": "3"}
        return '<header class="tgme_header"></header>' + "".join(
            f'<div class="tgme_channel_info_counter"><span class="counter_value">{count}</span> '
            f'<span class="counter_type">{name}</span></div>'
            for name, count in counts.items()
        )

    def _bubble(self, one: Message, part: int | None = None) -> str:
        identity = f"{_CHANNEL}/{one.number if part is None else part}"
        files = "".join(
            _player(file, file.listed if part is None else file.path) for file in one.files if part in {None, file.part}
        )
        if len(one.files) > 1 and part is None:
            files = f'<div class="tgme_widget_message_grouped_wrap">{files}</div>'
        thumb = (
            f'<i class="tgme_widget_message_video_thumb" style="background-image:url(\'https://{_STORE}{one.preview}\')"></i>'
            if one.preview else ""
        )  # fmt: skip
        if one.is_too_big:
            thumb = f'<a class="tgme_widget_message_video_player not_supported" href="https://{_HOME}/{identity}">{thumb}</a>'
        document = f'<a class="tgme_widget_message_document_wrap" href="https://{_HOME}/{identity}">'
        document += f'<div class="tgme_widget_message_document_title">{one.document}</div></a>'
        reply = f'<a class="tgme_widget_message_reply" href="https://{_HOME}/{_CHANNEL}/{one.reply_to}">'
        reply += '<div class="tgme_widget_message_text js-message_reply_text">what was said</div></a>'
        text = one.text.replace(" ", " <b>tea</b> <br>", 1)
        kind = " service_message" if one.is_service else ""
        return (
            f'<div class="tgme_widget_message_wrap"><div class="tgme_widget_message{kind}" data-post="{identity}">'
            f'<div class="tgme_widget_message_user_photo"><img src="https://{_STORE}{self._face}"></div>'
            f"{reply if one.reply_to else ''}{files}{thumb}{document if one.document else ''}"
            f'<div class="tgme_widget_message_text js-message_text" dir="auto">{text}</div>'
            '<span class="tgme_widget_message_views">1.1K</span><span class="tgme_widget_message_meta">'
            f'<a class="tgme_widget_message_date" href="https://{_HOME}/{identity}">'
            f'<time datetime="{one.at:%Y-%m-%dT%H:%M:%S}+00:00" class="time">12:00</time></a></span></div></div>'
        )

    @route(rf"/{_CHANNEL}/([0-9]+)")
    def message(self, request: Request, digits: str) -> Answer:
        number, asked = int(digits), query(request)
        one = next((one for one in self._messages if number in {one.number, *(file.part for file in one.files)}), None)
        if "embed" not in asked:
            frame = f'<iframe src="https://{_HOME}/{_CHANNEL}/{number}?embed=1&amp;mode=tme"></iframe>'
            return _page(_CHANNEL, f'<div class="tgme_page_widget">{frame}</div>', "web")
        if one is None or not self._is_shown:
            return _page("Widget", '<div class="tgme_widget_message_error">Post not found</div>', "widget")
        return _page("Widget", self._bubble(one, number if "single" in asked else None), "widget")

    @route(rf"/{_CHANNEL}")
    def card(self, request: Request) -> Answer:
        body = (
            f'<div class="tgme_page"><img class="tgme_page_photo_image" src="https://{_STORE}{self._face}">'
            '<div class="tgme_page_title"><span>Heron &amp; Tea</span></div><div class="tgme_page_extra">1 234 '
            'subscribers</div><div class="tgme_page_description">tea</div></div>'
        )
        return _page(_CHANNEL, body, "web")


def _player(file: File, path: str) -> str:
    """Return what shows a file."""
    place, message = f"https://{_STORE}{path}", f"https://{_HOME}/{_CHANNEL}/{file.part}?single"
    if file.kind == "photo":
        style = f"width:200px;background-image:url('{place}')"
        return f'<a class="tgme_widget_message_photo_wrap" href="{message}" style="{style}"></a>'
    if file.kind == "audio":
        return f'<a class="tgme_widget_message_voice_player" href="{message}"><audio src="{place}"></audio></a>'
    return f'<a class="tgme_widget_message_video_player" href="{message}"><video src="{place}"></video></a>'


def _more(name: str, number: int) -> str:
    link = f'class="tme_messages_more js-messages_more" data-{name}="{number}"'
    return f'<div class="tgme_widget_message_centered"><a href="/s/{_CHANNEL}?{name}={number}" {link}></a></div>'


def _page(title: str, body: str, style: str) -> Answer:
    return html(title, body, head=f'<link href="//{_STYLES}/css/telegram-{style}.css" rel="stylesheet">')


if __name__ == "__main__":
    main(TelegramSite)
