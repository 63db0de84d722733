"""The pages as Parler's servers rendered them for strangers: same classes, same nesting, same omissions."""

from __future__ import annotations

from html import escape
from itertools import islice
from typing import TYPE_CHECKING

from crawler.replicas.parler.cards import BUILD, ICONS, lines, short

if TYPE_CHECKING:
    from crawler.replicas.parler.cards import Cards
    from crawler.replicas.parler.people import User
    from crawler.replicas.parler.world import Post, World

LOGIN = "https://parler.com/auth/access"
AGREEMENT = "https://legal.parler.com/documents/useragreement.pdf"
QUESTIONS = "https://faq.parler.com/"
#: Cards of a profile page, at most; there is no next page.
CARDS = 20
ANGULAR_SHELL = (
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Parler Free Speech Social Network</title>'
    '<base href="/"></head><body><app-root></app-root></body></html>\n'
)
HOME = (
    "<!DOCTYPE html>\n<html><head><title>Parler Free Speech Social Network</title>"
    '<meta property="og:site_name" content="Parler"><meta name="twitter:site" content="@parler_app"></head>'
    f'<body><app-root></app-root><a href="{LOGIN}">Log in</a><a href="{AGREEMENT}">Legal</a></body></html>\n'
)
LOGIN_PAGE = (
    "<!DOCTYPE html>\n<html><head><title>Log in</title></head><body><form method=post>"
    "<input name=identifier><input name=password type=password></form></body></html>\n"
)
STYLES = tuple(f"/{BUILD}/stylesheets/{name}.min.css" for name in ("font", "style", "prime"))
SCRIPTS = tuple(f"/{BUILD}/javascript/{name}.js" for name in ("gen", "slider", "modals"))
_MORE = (
    f'<div class="login-more"><div class="button--wrapper"><a href="{LOGIN}">'
    '<button class="gradient-btn bold">See More At Parler</button></a></div></div>'
)
_FOOTER = (
    '<div class="footer--container"><footer id="main-footer--container">'
    f'<a href="{AGREEMENT}">User Agreement</a><a href="{QUESTIONS}">FAQ</a></footer></div>'
)
_TAIL = '<span class="echo--single--tail"></span>'
_ARROW = f'<img class="echo--single--arrowhead" src="{ICONS}/arrow.svg">'


class Pages:
    """Renders a world."""

    def __init__(self, world: World, cards: Cards) -> None:
        self._world = world
        self._cards = cards

    def post(self, post: Post) -> str:
        """A post page, in the shape its post has."""
        user = post.author
        title = f"@{user.username} - {user.name} - {post.text}"
        head = self._head(title, post.text or "Parleyed on Parler", f"/post/{post.hex}", user.avatar)
        return self._document(head, f'<div class="column--single">\n{self._wrapper(post)}\n{_MORE}</div>')

    def profile(self, user: User) -> str:
        """A profile page: a hero and at most twenty cards, no way to more."""
        title, about = f"@{user.username} - {user.name}", f"{user.username}'s Parler Profile"
        head = self._head(title, about, f"/profile/{user.username}/posts", user.avatar)
        home = f' <a href="{user.home}">{user.home}</a>' if user.home else ""
        hero = (
            f'<div id="hero--wrapper"><div id="hero"><div id="hero--top"><img src="{user.banner}" alt="Cover Photo">'
            '</div><div id="hero--bottom"><div class="profile-photo-image">'
            f'<img src="{user.avatar}" alt="Profile Photo"></div>'
            f'<span class="profile--name">{escape(user.name)}</span>'
            f'<span class="profile--username">{user.username}</span>'
            f'<span class="profile--bio">{escape(user.bio)}{home}</span></div></div></div>\n'
        )
        cards = "\n".join(self._wrapper(post) for post in islice(self._world.of(user), CARDS))
        return self._document(head, f'{hero}<div class="column--single">\n{cards}\n{_MORE}</div>')

    def share(self, post: Post) -> str:
        """The simpler page at share.par.pw."""
        media = "you must be logged in"
        if post.media == "image":
            media = f'<img id="media--placeholder" src="{self._cards.link(post)}">'
        return (
            '<!DOCTYPE html>\n<html><head><meta charset="utf-8"><title>Parler</title></head><body>'
            f'<div id="ud--name">{escape(post.author.name)}</div>'
            f'<div id="ud--avatar"><img src="{post.author.avatar}"></div>'
            f'<div id="post--content"><p>{lines(post.shown)}</p></div>'
            f'<div id="media-placeholder--wrapper">{media if post.media else ""}</div></body></html>\n'
        )

    @staticmethod
    def _head(title: str, description: str, path: str, image: str) -> str:
        title, description = escape(title), escape(description)
        return (
            f'<head><meta charset="utf-8"><title>{title}</title>\n<meta name="description" content="{description}">'
            f'<meta property="og:title" content="{title}"><meta property="og:type" content="website">'
            f'<meta property="og:url" content="{path}"><meta property="og:description" content="{description}">'
            f'<meta property="og:image" content="{image}"><meta property="og:site_name" content="Parler">\n'
            '<meta name="twitter:card" content="summary"><meta name="twitter:site" content="@parler_app">'
            f'<meta name="twitter:title" content="{title}"><meta name="twitter:image" content="{image}">\n'
            + "".join(f'<link rel="stylesheet" href="{url}">' for url in STYLES)
            + "".join(f'<script src="{url}"></script>' for url in SCRIPTS)
            + "</head>\n"
        )

    @staticmethod
    def _document(head: str, body: str) -> str:
        return (
            f'<!DOCTYPE html>\n<html lang="en" prefix="og: https://ogp.me/ns#">{head}'
            f'<body><main id="site--wrapper" class="container--main">{body}</main>\n{_FOOTER}</body></html>\n'
        )

    def _wrapper(self, post: Post) -> str:
        """A post with what it echoes, its counts and comments: those of the echoed post where it says nothing."""
        counted = self._world.counted(post)
        return (
            '<div class="post--card--wrapper"><div class="card card--post-container w--100">\n'
            f"{self._byline(post)}{self._root(post)}{self._parent_and_post(post)}{self._footer(counted)}</div>\n"
            f"{self._cards.comments(counted)}</div>"
        )

    def _byline(self, post: Post) -> str:
        if not post.echoes:
            return ""
        return (
            f'<div class="echo-byline--wrapper"><div class="eb--col eb--icon"><img src="{ICONS}/echo.svg"></div>'
            f'<div class="eb--col eb--profile-pic"><img src="{post.author.avatar}"></div>'
            '<div class="eb--col eb--statement"><span class="reblock">Echoed By '
            f"{escape(post.author.name)}</span></div>"
            f'<div class="eb--col eb--timestamp"><span class="reblock">{self._cards.ago(post.created)}</span></div>'
            "</div>\n"
        )

    def _root(self, post: Post) -> str:
        if len(post.echoes) < 2:
            return '<span class="reblock root-and-parent--wrapper"></span>' if post.echoes else ""
        return (
            f'<span class="reblock root-and-parent--wrapper extra-depth">{_ARROW}'
            f'<span class="reblock echo--root show-echo-arrows">{self._echoed(post, 1)}</span>{_TAIL}</span>\n'
        )

    def _parent_and_post(self, post: Post) -> str:
        parent = own = ""
        if post.echoes:
            arrows = " show-echo-arrows" if len(post.echoes) > 1 or not post.is_bare else ""
            parent = f'<span class="reblock echo--parent{arrows}">{self._echoed(post, 0)}</span>'
            parent = f"{_ARROW}{parent}{_TAIL}" if arrows else parent
        if not post.is_bare:
            own = f'<span class="reblock post{" show-under-echo" * bool(post.echoes)}">{self._cards.post(post)}</span>'
        return f'<span class="reblock parent-and-post--wrapper">{parent}{own}</span>\n'

    def _echoed(self, post: Post, depth: int) -> str:
        return self._cards.post(self._world.post(post.echoes[depth]))

    @staticmethod
    def _footer(counted: Post) -> str:
        actions = "".join(
            f'<div class="pa--item--wrapper"><img src="{ICONS}/{name.lower()}.svg" alt="Post {name}">'
            f'<span class="pa--item--count">{short(count)}</span></div>'
            for name, count in zip(("Comments", "Echoes", "Upvotes"), counted.counts, strict=True)
        )
        return (
            '<div class="card--footer"><span class="reblock"><div class="post--actions">'
            f'<div class="post--actions--row pa--main-row">{actions}</div></div></span></div>'
        )
