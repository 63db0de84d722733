"""The pages as Parler's servers rendered them for strangers: same classes, same nesting, same omissions."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from crawler.replicas.parler.world import BUILD

if TYPE_CHECKING:
    from datetime import datetime

    from crawler.replicas.parler.world import Comment, Post, User, World

DEFAULT_BANNER = "https://company-media.parler.com/par-default-banner.jpg"
ANGULAR_SHELL = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Parler Free Speech Social Network</title>'
    '<base href="/"></head><body><app-root></app-root><script src="main.js"></script></body></html>'
)
_UNITS = (
    (365 * 86400, "year"),
    (30 * 86400, "month"),
    (7 * 86400, "week"),
    (86400, "day"),
    (3600, "hour"),
    (60, "minute"),
    (1, "second"),
)


def ago(when: datetime, clock: datetime) -> str:
    """Return the only time a page gives: "4 days ago"."""
    seconds = max(int((clock - when).total_seconds()), 1)
    size, unit = next((size, unit) for size, unit in _UNITS if seconds >= size)
    count = seconds // size
    return f"{count} {unit}{'s' if count != 1 else ''} ago"


def avatar(user: User) -> str:
    """Return where a person's picture is."""
    return f"https://images.parler.com/{user.hex}_256"


def short(count: int) -> str:
    """Return a count as pages round it."""
    return f"{count / 1000:.1f}k" if count >= 1000 else str(count)


class Pages:
    """Renders a world at a moment."""

    def __init__(self, world: World, clock: datetime) -> None:
        self.world = world
        self.clock = clock

    def post(self, post: Post) -> str:
        """A post page, in the shape its post has."""
        title = f"@{post.author.username} - {post.author.name} - {post.text}"
        head = self._head(title, post.text or "Parleyed on Parler", f"/post/{post.hex}", avatar(post.author))
        more = '<div class="login-more"><div class="button--wrapper"><a href="https://parler.com/auth/access"><button class="gradient-btn bold">See More At Parler</button></a></div></div>'
        return self._document(
            head, f'<div class="column--single">{self._card_wrapper(post)}{self._comments(post)}</div>{more}'
        )

    def profile(self, user: User, posts: list[Post]) -> str:
        """A profile page: a hero and at most twenty cards, no way to more."""
        title = f"@{user.username} - {user.name}"
        head = self._head(title, f"{user.username}'s Parler Profile", f"/profile/{user.username}/posts", avatar(user))
        banner = f"https://images.parler.com/{user.hex}_1200" if user.number % 2 else DEFAULT_BANNER
        hero = (
            f'<div id="hero--wrapper"><div id="hero"><div id="hero--top"><img src="{banner}" alt="Cover Photo"></div><div id="hero--bottom">'
            f'<div class="profile-photo-image"><img src="{avatar(user)}" alt="Profile Photo"></div><span class="profile--name">{escape(user.name)}</span>'
            f'<span class="profile--username">{escape(user.username)}</span><span class="profile--bio">{escape(user.bio)}</span></div></div></div>'
        )
        cards = "".join(self._card_wrapper(post) + self._comments(post) for post in posts[:20])
        return self._document(head, f'{hero}<div class="column--single">{cards}</div>')

    def share(self, post: Post) -> str:
        """The simpler page at share.par.pw."""
        media = f'<img id="media--placeholder" src="{avatar(post.author)}">' if post.kind else ""
        return (
            f'<!DOCTYPE html><html><head><meta charset="utf-8"><title>Parler</title></head><body><div id="ud--name">{escape(post.author.name)}</div>'
            f'<div id="ud--avatar"><img src="{avatar(post.author)}"></div><div id="post--content"><p>{_lines(post.text)}</p></div>'
            f'<div id="media-placeholder--wrapper">{media or "you must be logged in"}</div></body></html>'
        )

    def _head(self, title: str, description: str, path: str, image: str) -> str:
        title, description = escape(title), escape(description)
        return (
            f'<head><meta charset="utf-8"><title>{title}</title><meta name="description" content="{description}">'
            f'<meta property="og:title" content="{title}"><meta property="og:type" content="website"><meta property="og:url" content="{path}">'
            f'<meta property="og:description" content="{description}"><meta property="og:image" content="{image}"><meta property="og:site_name" content="Parler">'
            f'<meta name="twitter:card" content="summary"><meta name="twitter:site" content="@parler_app"><meta name="twitter:title" content="{title}">'
            + "".join(
                f'<link rel="stylesheet" href="/{BUILD}/stylesheets/{name}.min.css">'
                for name in ("font", "style", "prime")
            )
            + "".join(f'<script src="/{BUILD}/javascript/{name}.js"></script>' for name in ("gen", "slider", "modals"))
            + "</head>"
        )

    def _document(self, head: str, body: str) -> str:
        footer = (
            '<div class="footer--container"><footer id="main-footer--container"><a href="https://legal.parler.com/documents/useragreement.pdf">User Agreement</a>'
            '<a href="https://faq.parler.com/">FAQ</a></footer></div>'
        )
        return f'<!DOCTYPE html>\n<html lang="en" prefix="og: https://ogp.me/ns#">{head}<body><main id="site--wrapper" class="container--main">{body}</main>{footer}</body></html>\n'

    def _card_wrapper(self, post: Post) -> str:
        counted = self.world.post(post.echoes[0]) if post.shape in {2, 4} else post
        parts = [self._byline(post)] if post.shape > 1 else []
        arrow, tail = (
            '<img class="echo--single--arrowhead" src="/x.svg">'.replace("/x.svg", f"/{BUILD}/images/icons/echo.svg"),
            '<span class="echo--single--tail"></span>',
        )
        if post.shape in {4, 5}:
            root = self._card(self.world.post(post.echoes[1]))
            parts.append(
                f'<span class="reblock root-and-parent--wrapper extra-depth">{arrow}<span class="reblock echo--root show-echo-arrows">{root}</span>{tail}</span>'
            )
        inner = ""
        if post.shape > 1:
            inner += f'{arrow}<span class="reblock echo--parent show-echo-arrows">{self._card(self.world.post(post.echoes[0]))}</span>{tail}'
        if post.shape in {1, 3, 5}:
            inner += (
                f'<span class="reblock post{"" if post.shape == 1 else " show-under-echo"}">{self._card(post)}</span>'
            )
        parts.append(f'<span class="reblock parent-and-post--wrapper">{inner}</span>')
        names = zip(("Comments", "Echoes", "Upvotes"), counted.counts, strict=True)
        actions = "".join(
            f'<div class="pa--item--wrapper"><img src="/{BUILD}/images/icons/{name.lower()}.svg" alt="Post {name}"><span class="pa--item--count">{short(count)}</span></div>'
            for name, count in names
        )
        footer = f'<div class="card--footer"><span class="reblock"><div class="post--actions"><div class="post--actions--row pa--main-row">{actions}</div></div></span></div>'
        return f'<div class="post--card--wrapper"><div class="card card--post-container w--100">{"".join(parts)}{footer}</div></div>'

    def _byline(self, post: Post) -> str:
        return (
            f'<div class="echo-byline--wrapper"><div class="eb--col eb--icon"><img src="/{BUILD}/images/icons/echo.svg"></div>'
            f'<div class="eb--col eb--profile-pic"><img src="{avatar(post.author)}"></div><div class="eb--col eb--statement"><span class="reblock">Echoed By {escape(post.author.name)}</span></div>'
            f'<div class="eb--col eb--timestamp"><span class="reblock">{ago(post.created, self.clock)}</span></div></div>'
        )

    def _card(self, post: Post) -> str:
        user, text = post.author, _lines(post.text)
        for name in post.mentions:
            text += (
                f' <span class="at">@{name}</span>'
                if name == "Name Hidden"
                else f' <a href="/profile/{name}/posts" class="at">@{name}</a>'
            )
        return (
            self._header(user, post.created, post.impressions, "Post")
            + f'<div class="card--body"><p>{text}</p>{self._media(post)}</div>'
        )

    def _header(self, user: User, when: datetime, impressions: int | None, what: str) -> str:
        badge = (
            f'<div class="ch--avatar--badge--wrapper"><img src="/{BUILD}/images/badges/{user.badge:02d}.svg" alt="Badge"></div>'
            if user.badge is not None
            else ""
        )
        seen = (
            f'<span class="separator">·</span><span class="impressions--wrapper"><span class="impressions--count">{short(impressions)}</span></span>'
            if impressions is not None else ""
        )  # fmt: skip
        return (
            f'<div class="card--header p--flex pf--row"><div class="ch--col ch--avatar-col"><div class="ch--avatar--wrapper"><img src="{avatar(user)}" alt="{what} Author Profile Pic"></div>{badge}</div>'
            f'<div class="ch--col ch--meta-col"><a class="card-meta--row" href="/profile/{user.username}/posts"><span class="author--name">{escape(user.name)}</span><span class="separator">·</span>'
            f'<span class="author--username">@{user.username}</span></a><span class="card-meta--row"><span class="post--timestamp">{ago(when, self.clock)}</span>{seen}</span></div>'
            '<div class="ch--col ch--menu-col"><div class="ch--more-actions--wrapper"></div></div></div>'
        )

    def _media(self, post: Post) -> str:
        if post.kind is None:
            return ""
        items = [getattr(self, f"_{post.kind}")(post, slide) for slide in range(post.slides)]
        inner = items[0]
        if len(items) > 1:
            slides = "".join(
                f'<div class="mc--slide{" active" if n == 0 else ""}">{item}</div>' for n, item in enumerate(items)
            )
            inner = f'<div id="mc--slider--{post.hex}" class="mc--slider--wrapper"><div class="mc--slider">{slides}</div><span class="mc--nav previous"></span><span class="mc--nav next"></span></div>'
        if post.sensitive:
            inner = f'<div id="sensitive--content--wrapper-{post.hex}" class="sensitive--content--wrapper"><div class="sensitive--content-action"></div>{inner}</div>'
        return f'<div class="media-container--wrapper w--100">{inner}</div>'

    def link(self, post: Post, slide: int = 0) -> str:
        """The short link of a post's media or outlink."""
        return f"https://api.parler.com/l/{self.world.links.text(post.number * 4 + slide)}"

    def _image(self, post: Post, slide: int) -> str:
        url = self.link(post, slide)
        return (
            f'<div class="mc-image--container"><div id="mc-image--modal--{41600000 + post.number}" class="mc-image--modal"><img class="mc-image--modal--element" src="{url}"></div>'
            f'<div class="mc-image--wrapper"><img src="{url}"></div></div>'
        )

    def _video(self, post: Post, _slide: int) -> str:
        name = self.world.videos.text(post.number)
        url = f"https://video.parler.com/{name[:2]}/{name[2:4]}/{name}_small.mp4"
        player = (
            f'<video controls><source src="{url}" type="video/mp4"></video>'
            if post.number % 3
            else f'<video src="{url}" controls></video>'
        )
        return (
            f'<div class="mc-video--container"><div class="mc-video--wrapper">{player}</div><div class="mc-video--meta--wrapper"><span class="mc-video--title">A short film</span>'
            f'<span class="mc-video--excerpt"></span><span class="mc-video--link"><a href="{url}">{url}</a></span></div></div>'
        )

    def _article(self, post: Post, _slide: int) -> str:
        preview = f"https://images.parler.com/{self.world.previews.text(post.number)}"
        return self._card_link("article", post, f'<div class="mc-article--image"><img src="{preview}"></div>')

    def _website(self, post: Post, _slide: int) -> str:
        preview = f"https://images.parler.com/{self.world.previews.text(post.number)}"
        return self._card_link(
            "website", post, f'<div class="mc-website--image"><img src="{preview}"></div>' if post.number % 2 else ""
        )

    def _basic(self, post: Post, _slide: int) -> str:
        return f'<div class="mc-basic--container"><span class="mc-basic--link"><a href="{self.link(post)}">{outside(post)}</a></span></div>'

    def _iframe(self, post: Post, _slide: int) -> str:
        name = f"inv{post.number:08d}"
        return (
            f'<div class="mc-iframe-embed--container"><div class="mc-iframe-embed--wrapper"><iframe src="https://www.youtube.com/embed/{name}"></iframe></div>'
            f'<div class="mc-iframe-embed--meta--wrapper"><span class="mc-iframe-embed--link"><a href="https://www.youtube.com/embed/{name}">https://www.youtube.com/watch?v={name}</a></span></div></div>'
        )

    def _audio(self, post: Post, _slide: int) -> str:
        return f'<div class="mc-audio--container"><div class="mc-audio--wrapper"><audio controls><source src="https://podcast.example/{post.number}.mp3" type="audio/mpeg"></audio></div></div>'

    def _card_link(self, kind: str, post: Post, image: str) -> str:
        return (
            f'<div class="mc-{kind}--container">{image}<div class="mc-{kind}--meta--wrapper"><span class="mc-{kind}--title">On kettles</span><span class="mc-{kind}--excerpt">A long read</span>'
            f'<span class="mc-{kind}--link"><a href="{self.link(post)}">{outside(post)}</a></span></div></div>'
        )

    def _comments(self, post: Post) -> str:
        if not post.comments:
            return ""
        inner = "".join(
            f'<div class="comment--card--wrapper">{self._comment(comment)}</div>' for comment in post.comments
        )
        return (
            f'<div id="show-comments-{post.hex}" class="show-comments--wrapper" onclick="commentsListOpen(\'{post.hex}\')"></div><div id="hide-comments-{post.hex}"></div>'
            f'<div id="comments-list-{post.hex}" class="comments-list--container">{inner}</div>'
        )

    def _comment(self, comment: Comment) -> str:
        actions = "".join(
            f'<div class="ca--item--wrapper"><span class="ca--item--count">{count}</span></div>'
            for count in comment.counts
        )
        # A reply's id is not printed; a comment's stands in the ids of its list of replies.
        card = (
            f'<div class="card card--comment-container">{self._header(comment.author, comment.created, None, "Comment")}<div class="card--body"><p>{_lines(comment.text)}</p></div>'
            f'<div class="card--footer"><div class="comment--actions">{actions}</div></div></div>'
        )
        if not comment.replies:
            return card
        replies = "".join(
            f'<div class="reply--card--wrapper">{self._comment(reply)}</div>' for reply in comment.replies
        )
        return f'{card}<div id="show-replies-{comment.hex}"></div><div id="replies-list-{comment.hex}" class="replies-list--container">{replies}</div>'


def outside(post: Post) -> str:
    """The page of somebody else's site that a post links to."""
    return f"https://elsewhere.example/articles/{post.number}"


def _lines(text: str) -> str:
    return "<br>".join(escape(line) for line in text.split("\n"))
