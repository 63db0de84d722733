"""The cards that every page is built of: a post's or a comment's head, body, media and counts, as HTML."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from crawler.replicas.parler.world import HIDDEN

if TYPE_CHECKING:
    from datetime import datetime

    from crawler.replicas.exchange import Clock
    from crawler.replicas.parler.files import Files
    from crawler.replicas.parler.people import User
    from crawler.replicas.parler.world import Comment, Post, World

BUILD = "512ae92f"
ICONS = f"/{BUILD}/images/icons"
_DAY = 86400
_UNITS = (
    (365 * _DAY, "year"), (30 * _DAY, "month"), (7 * _DAY, "week"), (_DAY, "day"), (3600, "hour"), (60, "minute"),
    (1, "second"),
)  # fmt: skip


def ago(when: datetime, now: datetime) -> str:
    """Return the only time a page gives: "4 days ago"."""
    seconds = max(int((now - when).total_seconds()), 1)
    size, unit = next((size, unit) for size, unit in _UNITS if seconds >= size)
    count = seconds // size
    return f"{count} {unit}{'s' if count != 1 else ''} ago"


def short(count: int) -> str:
    """Return a count as people are shown it: 950, 1.2k, 3.4m."""
    if count >= 1_000_000:
        return f"{count / 1_000_000:.1f}m"
    return f"{count / 1000:.1f}k" if count >= 1000 else str(count)


def lines(text: str) -> str:
    """Return text as HTML: its lines are separated by ``<br>``."""
    return "<br>".join(escape(line) for line in text.split("\n"))


class Cards:
    """Draws the cards of a world at a moment."""

    def __init__(self, world: World, files: Files, clock: Clock) -> None:
        self._world = world
        self._files = files
        self._clock = clock

    def link(self, post: Post, slide: int = 0) -> str:
        """Return the short link of an image or of an outlink."""
        return f"https://api.parler.com/l/{self._world.links.text(post.number * 4 + slide)}"

    def ago(self, when: datetime) -> str:
        """Return how long ago something was."""
        return ago(when, self._clock.moment)

    def post(self, post: Post) -> str:
        """A post's head and body."""
        text = " ".join(part for part in (lines(post.text), *map(self._mention, post.mentions)) if part)
        body = f'<div class="card--body"><p>{text}</p>{self._media(post)}</div>'
        return self._head(post.author, post.created, "Post", post.impressions) + body

    def comments(self, post: Post) -> str:
        """The list of a post's comments, which betrays the post's id; nothing where there are none."""
        if not post.comments:
            return ""
        inner = "".join(
            f'<div class="comment--card--wrapper">{self._comment(comment)}</div>\n' for comment in post.comments
        )
        return (
            f'<div id="show-comments-{post.hex}" class="show-comments--wrapper" '
            f"onclick=\"commentsListOpen('{post.hex}')\">Show Comments</div>"
            f'<div id="hide-comments-{post.hex}" class="hide-comments--wrapper">Hide Comments</div>\n'
            f'<div id="comments-list-{post.hex}" class="comments-list--container">{inner}</div>'
        )

    def _comment(self, comment: Comment) -> str:
        """A comment with its replies. Only the list of its replies betrays its id."""
        icons = zip(("replies", "downvotes", "upvotes"), comment.counts, strict=True)
        actions = "".join(
            f'<div class="ca--item--wrapper"><img class="{name}" src="{ICONS}/{name}.svg">'
            f'<span class="ca--item--count">{short(count)}</span></div>'
            for name, count in icons
        )
        card = (
            f'<div class="card card--comment-container">{self._head(comment.author, comment.created, "Comment", None)}'
            f'<div class="card--body"><p>{lines(comment.text)}</p></div>'
            f'<div class="card--footer"><div class="comment--actions">{actions}</div></div></div>'
        )
        if not comment.replies:
            return card
        replies = "".join(
            f'<div class="reply--card--wrapper">{self._comment(reply)}</div>' for reply in comment.replies
        )
        return (
            f'{card}<div id="show-replies-{comment.hex}" class="show-replies--wrapper">Show Replies</div>'
            f'<div id="replies-list-{comment.hex}" class="replies-list--container">{replies}</div>'
        )

    def _head(self, user: User, when: datetime, what: str, impressions: int | None) -> str:
        badge = seen = ""
        if user.badge is not None:
            source = f"/{BUILD}/images/badges/{user.badge:02d}.svg"
            badge = f'<div class="ch--avatar--badge--wrapper"><img src="{source}" alt="Badge"></div>'
        if impressions is not None:
            seen = (
                '<span class="separator">·</span><span class="impressions--wrapper">'
                f'<img src="{ICONS}/impressions.svg">'
                f'<span class="impressions--count">{short(impressions)}</span></span>'
            )
        return (
            '<div class="card--header p--flex pf--row"><div class="ch--col ch--avatar-col">'
            f'<div class="ch--avatar--wrapper"><img src="{user.avatar}" alt="{what} Author Profile Pic"></div>{badge}'
            f'</div><div class="ch--col ch--meta-col"><a class="card-meta--row" href="/profile/{user.username}/posts">'
            f'<span class="author--name">{escape(user.name)}</span><span class="separator">·</span>'
            f'<span class="author--username">@{user.username}</span></a>'
            f'<span class="card-meta--row"><span class="post--timestamp">{self.ago(when)}</span>{seen}</span></div>'
            '<div class="ch--col ch--menu-col"><div class="ch--more-actions--wrapper"></div></div></div>\n'
        )

    @staticmethod
    def _mention(name: str) -> str:
        if name == HIDDEN:
            return f'<span class="at">@{name}</span>'
        return f'<a href="/profile/{name}/posts" class="at">@{name}</a>'

    def _media(self, post: Post) -> str:
        """All media of a post, in a slider where there are several, under a warning where they are sensitive."""
        if post.media is None:
            return ""
        items = [getattr(self, f"_{post.media}")(post, slide) for slide in range(post.slides)]
        inner = items[0]
        if len(items) > 1:
            slides = "".join(
                f'<div class="mc--slide{" active" * (not n)}">{item}</div>' for n, item in enumerate(items)
            )
            inner = (
                f'<div id="mc--slider--{post.hex}" class="mc--slider--wrapper"><div class="mc--slider">{slides}</div>'
                '<span class="mc--nav previous"></span><span class="mc--nav next"></span>'
                f'<div class="mc--dots">{"<span></span>" * len(items)}</div></div>'
            )
        if post.is_sensitive:
            inner = (
                f'<div id="sensitive--content--wrapper-{post.hex}" class="sensitive--content--wrapper">'
                f'<div class="sensitive--content-action">Sensitive content</div>{inner}</div>'
            )
        return f'\n<div class="media-container--wrapper w--100">{inner}</div>'

    def _image(self, post: Post, slide: int) -> str:
        url = self.link(post, slide)
        return (
            f'<div class="mc-image--container"><div id="mc-image--modal--{41_600_000 + post.number * 4 + slide}" '
            f'class="mc-image--modal"><img class="mc-image--modal--element" src="{url}"></div>'
            f'<div class="mc-image--wrapper"><img src="{url}"></div></div>'
        )

    def _video(self, post: Post, _slide: int) -> str:
        url = f"{self._files.video_url(post)}_small.mp4"
        player = f'<video controls><source src="{url}" type="video/mp4"></video>'
        if post.number % 3 == 0:
            player = f'<video src="{url}" controls></video>'
        return (
            f'<div class="mc-video--container"><div class="mc-video--wrapper">{player}</div>'
            '<div class="mc-video--meta--wrapper"><span class="mc-video--title">A short film</span>'
            f'<span class="mc-video--excerpt"></span><span class="mc-video--link"><a href="{url}">{url}</a></span>'
            "</div></div>"
        )

    def _article(self, post: Post, _slide: int) -> str:
        return self._linked("article", post)

    def _website(self, post: Post, _slide: int) -> str:
        return self._linked("website", post)

    def _linked(self, kind: str, post: Post) -> str:
        preview = self._files.preview_url(post)
        image = f'<div class="mc-{kind}--image"><img src="{preview}"></div>' if preview else ""
        return (
            f'<div class="mc-{kind}--container">{image}<div class="mc-{kind}--meta--wrapper">'
            f'<span class="mc-{kind}--title">On kettles</span><span class="mc-{kind}--excerpt">A long read</span>'
            f'<span class="mc-{kind}--link"><a href="{self.link(post)}">{escape(post.outlink)}</a></span></div></div>'
        )

    def _basic(self, post: Post, _slide: int) -> str:
        return (
            f'<div class="mc-basic--container"><img src="{ICONS}/link.svg"><span class="mc-basic--link">'
            f'<a href="{self.link(post)}">{escape(post.outlink)}</a></span></div>'
        )

    def _iframe(self, post: Post, _slide: int) -> str:
        name = f"inv{post.number:08d}"
        url = f"https://www.youtube.com/embed/{name}"
        return (
            '<div class="mc-iframe-embed--container"><div class="mc-iframe-embed--wrapper">'
            f'<iframe src="{url}"></iframe></div>'
            '<div class="mc-iframe-embed--meta--wrapper"><span class="mc-iframe-embed--link">'
            f'<a href="{url}">https://www.youtube.com/watch?v={name}</a></span></div></div>'
        )

    def _audio(self, post: Post, _slide: int) -> str:
        return (
            '<div class="mc-audio--container"><div class="mc-audio--wrapper"><audio controls>'
            f'<source src="https://podcast.example/{post.number}.mp3" type="audio/mpeg"></audio></div></div>'
        )
