"""A Discourse forum (its JSON as documented, its pages as robots get them): python -P -m crawler.replicas.discourse.

What clients trip over: whatever is asked, a list holds so many and no more, and ``before=0`` begins anew; a topic shows
twenty posts and names the ids of all; people are listed up to a page, beyond it is an error; an unlisted topic is shown
to whoever has its address; ids have holes where private messages, closed categories and whispers are; pictures in posts
are made smaller; a page beyond the last redirects to it; attachments redirect to where they are.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl

from crawler.replicas.exchange import Answer
from crawler.replicas.kit import PRIVATE, PlatformSite, as_json, html, main, moved, query, route, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crawler.replicas.exchange import Request

_PAGE, _STREAM, _TOPICS, _PEOPLE, _MOST_PEOPLE = 50, 20, 30, 50, 10
#: Id → (slug, above, who may read it).
_CATEGORIES = {1: ("general", None, True), 2: ("tea", None, True), 3: ("staff", None, False), 4: ("bread", 2, True)}
_REGULAR, _MODERATOR, _ACTION, _WHISPER = 1, 2, 3, 4
#: One request in so many is answered with 429, where that is the trap.
_LIMIT_EVERY = 60


@dataclass
class Said:
    """A post."""

    id: int
    number: int
    topic: Topic
    at: datetime
    author: str
    cooked: str
    kind: int = _REGULAR
    reply_to: int | None = None
    is_withdrawn: bool = False
    is_hidden: bool = False


@dataclass
class Topic:
    """A topic; without a category it is a private message."""

    id: int
    at: datetime
    category: int | None
    is_listed: bool = True
    posts: list[Said] = field(default_factory=list)

    @property
    def slug(self) -> str:
        return f"{'tea' if self.is_public else PRIVATE}-{self.id}"

    @property
    def is_open(self) -> bool:
        """Whether a stranger who has its address may read it."""
        return self.category is not None and _CATEGORIES[self.category][2]

    @property
    def is_public(self) -> bool:
        return self.is_open and self.is_listed

    @property
    def path(self) -> str:
        return f"/t/{self.slug}/{self.id}"

    @property
    def shown(self) -> list[Said]:
        return [one for one in self.posts if one.kind != _WHISPER]


class DiscourseSite(PlatformSite):
    """One forum."""

    name = "discourse"
    title = "A Discourse forum."
    traps: ClassVar[dict[str, str]] = {
        "closed": "everything asks for a login",
        "limited": "one request in sixty is answered with 429, once",
        "leak": "lists hold private messages and whispers, and all topics are shown to whoever has their address",
        "noposts": "there is no list of all posts",
        "nodirectory": "the list of people is closed",
        "old": "the list of posts covers fifty ids, those that are left out, too; counters have their old names",
    }

    def build(self) -> None:
        """Make what there is, oldest first."""
        self._at = self.clock.moment - timedelta(days=400)
        self._people = [f"heron_{n}" for n in range(1, max(self.size // 8, 4) + 1)]
        self._silent = [f"otter_{n}" for n in range(1, 4)]
        self._topics: list[Topic] = []
        self._posts: list[Said] = []
        self._limited: set[str] = set()
        self._asked = 0
        self._redirects: dict[str, str] = {}
        self._is_closed = "closed" in self.trap
        if not self._is_closed:
            self.asset("/stylesheets/desktop.css")
        while sum(one.topic.is_public or self._is_closed for one in self._posts) < self.size:
            self._at += timedelta(minutes=5 + self.rng.randrange(300))
            self._say()
        self._enter()

    def _say(self) -> None:
        """Begin a topic, or say something in one; every eleventh topic is long."""
        count = len(self._topics)
        recent = [topic for topic in self._topics[-6:] if len(topic.posts) < (45 if topic.id % 11 == 3 else 9)]
        if not recent or self.rng.random() < 0.2:
            number = count + 1
            category = None if number % 9 == 4 else 3 if self._is_closed else (1, 2, 4, 3, 1, 2)[number % 6]
            self._topics.append(Topic(number + 10, self._at, category, number % 10 != 5))
            self._post(self._topics[-1], _REGULAR)
            return
        topic = self.rng.choice([one for one in recent if one.id % 11 == 3] or recent)
        number = len(topic.posts) + 1
        kind = {5: _WHISPER, 7: _ACTION, 9: _MODERATOR}.get(number % 12, _REGULAR)
        self._post(topic, kind)

    def _post(self, topic: Topic, kind: int) -> None:
        identity = self._posts[-1].id + 1 if self._posts else 1
        number = topic.posts[-1].number + 1 if topic.posts else 1
        is_public = topic.is_public and kind != _WHISPER
        said = f"<p>{self.says(14, public=is_public)}</p>" if kind != _ACTION else ""
        one = Said(identity, number, topic, self._at, self.rng.choice(self._people), said, kind)
        one.reply_to = self.rng.randrange(1, number) if number > 2 and self.rng.random() < 0.4 else None
        if kind == _REGULAR and number > 1 and identity % 23 == 7:
            one.is_withdrawn, one.cooked = True, "<p>(post deleted by author)</p>"
        elif kind == _REGULAR and number > 1 and identity % 29 == 9:
            one.is_hidden, one.cooked = True, f"<p>{self.says(public=False)}</p>"
        elif kind == _REGULAR:
            one.cooked += self._uploads(identity, is_public)
            if is_public and (hidden := [each for each in self._topics if each.is_open and not each.is_listed]):
                one.cooked += f'<p><a href="/t/-/{hidden[-1].id}">there</a></p>' if identity % 13 == 1 else ""
        topic.posts.append(one)
        self._posts.append(one)

    def written(self) -> list[str]:
        return [
            str(one.id) for one in self._posts
            if one.topic.is_public and one.kind == _REGULAR and one.number > 1 and not (one.is_hidden or one.is_withdrawn)
        ]  # fmt: skip

    def edit(self, identity: str) -> None:
        self._find_post(identity).cooked = f"<p>{self.says(14)}</p>"

    def delete(self, identity: str) -> None:
        one = self._find_post(identity)
        one.topic.posts.remove(one)
        self._posts.remove(one)

    def write(self) -> str:
        self._at += timedelta(minutes=9)
        self._post(next(one for one in reversed(self._topics) if one.is_public), _REGULAR)
        return str(self._posts[-1].id)

    def _find_post(self, identity: str) -> Said:
        return next(one for one in self._posts if str(one.id) == identity)

    def _uploads(self, n: int, is_public: bool) -> str:
        name = hashlib.sha1(f"{self.name}/{n}".encode(), usedforsecurity=False).hexdigest()
        place = f"{'1X' if is_public else PRIVATE}/{name}"
        original = f"/uploads/default/original/{place}.jpeg"
        if n % 4 == 1:
            small = f"/uploads/default/optimized/{place}_2_690x460.jpeg"
            self.image(original, public=is_public)
            self.image(small, kind="asset", public=is_public)
            picture = f'<img src="{small}" srcset="{small}, {original} 2x" width="690" height="460">'
            is_linked = n % 3 != 0
            return (
                f'<div class="lightbox-wrapper"><a class="lightbox" href="{original}">{picture}</a></div>'
                if is_linked
                else picture
            )
        if n % 9 == 2:
            stored, film = original.replace(".jpeg", ".pdf"), original.replace(".jpeg", ".mp4")
            for path, kind in ((stored, "application/pdf"), (film, "video/mp4")):
                data = f"%{path}".encode() * 40
                self.books.file("file", self.file(path, data, kind), data, public=is_public)
            short = f"/uploads/short-url/{name[:20]}.pdf"
            self._redirects[short] = stored
            if is_public:
                self.books.listing("attachments", 1, 1)
            return (
                f'<p><a class="attachment" href="{short}">tea.pdf</a></p>'
                f'<div class="video-placeholder-container" data-video-src="{film}"></div>'
            )
        return ""

    def _enter(self) -> None:
        """Enter all of it. Whatever else lists posts, the cheapest way to find them is to list their topics."""
        for topic in self._topics:
            self._enter_topic(topic)
        if self._is_closed:
            self.books.listing("doors", 6, 1)
            return
        self.books.add("page", "/", "/")
        writers = {one.author for one in self._posts if one.topic.is_public and self._is_item(one)}
        for name in writers if "nodirectory" in self.trap else {*self._people, *self._silent}:
            self.books.add("account", name, f"/u/{name}.json", item="Account")
            self.books.add("page", f"/u/{name}", f"/u/{name}")
            self.image(self._face(name), kind="avatar")
        public = [topic for topic in self._topics if topic.is_public]
        self.books.listing("about and categories", 2, 1)
        self.books.listing("people", len(self._people) + len(self._silent), _PEOPLE)
        self.books.listing("topics", len(public), _TOPICS)
        for category, (_, _, is_open) in _CATEGORIES.items():
            pages = -(-sum(topic.category == category for topic in public) // _TOPICS)
            for turned in range(pages if is_open else 0):
                path = self._category_path(category, turned)
                self.books.add("page", path, path)

    def _enter_topic(self, topic: Topic) -> None:
        is_open = topic.is_public
        # What is mixed with whispers is kept for nobody, and is read all the same.
        is_mixed = "leak" in self.trap and any(one.kind == _WHISPER for one in topic.posts[:_STREAM])
        if is_mixed and is_open:
            self.books.listing("mixed topics", 1, 1)
        self.books.add("topic", topic.id, "" if is_mixed else f"/t/{topic.id}.json", public=is_open)
        for turned in range(-(-len(topic.shown) // _STREAM)):
            path = topic.path + (f"?page={turned + 1}" if turned else "")
            self.books.add("page", path, path, public=is_open)
            if turned and is_open:
                self.books.listing("streams", 1, 1)
        for one in topic.posts:
            kind = "post" if one.number == 1 else "reply"
            is_public = is_open and self._is_item(one)
            self.books.add(kind, one.id, item="Post", public=is_public, at=one.at.isoformat(), topic=topic.id)

    def _is_item(self, one: Said) -> bool:
        return one.kind != _WHISPER and not one.is_hidden

    def _face(self, name: str) -> str:
        return f"/user_avatar/forum/{name}/288/1_2.png"

    def _category_path(self, category: int, turned: int) -> str:
        slug, above, _ = _CATEGORIES[category]
        path = f"/c/{_CATEGORIES[above][0]}/{slug}/{category}" if above else f"/c/{slug}/{category}"
        return path + (f"?page={turned}" if turned else "")

    # What it answers

    def answer(self, request: Request) -> Answer:
        """Answer a request, but for limits and logins."""
        is_open = request.path in {"/robots.txt", "/login", "/site/basic-info.json"} or request.path in self._files
        if "limited" in self.trap and not is_open and request.target not in self._limited:
            self._asked += 1
            if self._asked % _LIMIT_EVERY == 0:
                self._limited.add(request.target)
                text = "Slow down, too many requests from this IP address.\nError code: ip_10_secs_limit.\n"
                headers = (("Retry-After", "1"), ("Discourse-Rate-Limit-Error-Code", "ip_10_secs_limit"))
                return Answer(429, text.encode(), "text/plain", headers)
        if self._is_closed and not is_open:
            if not request.path.endswith(".json"):
                return moved("/login")
            said = {"errors": ["You need to be logged in to do that."], "error_type": "not_logged_in"}
            return as_json(said, 403)
        return super().answer(request)

    def missing(self, request: Request) -> Answer:
        """Answer for what is not there, or is not for strangers: nobody can tell."""
        if request.path.endswith(".json"):
            said = {"errors": ["The requested URL or resource could not be found."], "error_type": "not_found"}
            return as_json(said, 404)
        return self._shown("Oops", "<p>That page doesn't exist or is private.</p>", status=404)

    @route(r"/robots\.txt")
    def robots(self, request: Request) -> Answer:
        return Answer(200, b"User-agent: *\nDisallow: /admin/\nDisallow: /search\nDisallow: /g\n", "text/plain")

    @route(r"/site/basic-info\.json")
    def basic(self, request: Request) -> Answer:
        return as_json({"title": "Herons", "header_primary_color": "333333"})

    @route(r"/about\.json")
    def about(self, request: Request) -> Answer:
        mark = "" if "old" in self.trap else "s"
        counts = {"topic": len(self._topics), "post": len(self._posts), "user": len(self._people) + len(self._silent)}
        return as_json(
            {"about": {"title": "Herons", "stats": {f"{name}{mark}_count": n for name, n in counts.items()}}}
        )

    @route(r"/site\.json")
    def site(self, request: Request) -> Answer:
        shown = {n: one for n, one in _CATEGORIES.items() if one[2] or "leak" in self.trap}
        return as_json({"categories": [
            {"id": n, "slug": slug, "name": slug, "parent_category_id": above, "read_restricted": not is_open}
            for n, (slug, above, is_open) in shown.items()
        ]})  # fmt: skip

    @route(r"/directory_items\.json")
    def directory(self, request: Request) -> Answer:
        asked = query(request)
        turned, everybody = whole(asked.get("page"), 0), [*self._people, *self._silent]
        if "nodirectory" in self.trap:
            return as_json({"errors": ["You are not permitted."], "error_type": "invalid_access"}, 403)
        if "period" not in asked or not 0 <= turned <= _MOST_PEOPLE:
            return as_json({"errors": ["You supplied invalid parameters."], "error_type": "invalid_parameters"}, 400)
        found = [
            {"id": n, "post_count": 1, "user": self._person(name, n)}
            for n, name in enumerate(everybody, 1)
        ][turned * _PEOPLE : (turned + 1) * _PEOPLE]  # fmt: skip
        return as_json({"directory_items": found, "meta": {"total_rows_directory_items": len(everybody)}})

    def _person(self, name: str, n: int) -> dict[str, Any]:
        return {
            "id": n,
            "username": name,
            "name": "A heron",
            "avatar_template": self._face(name).replace("288", "{size}"),
        }

    @route(r"/posts\.json")
    def posts(self, request: Request) -> Answer:
        if "noposts" in self.trap:
            return self.missing(request)
        before = whole(query(request).get("before"), 0)
        is_leaking = "leak" in self.trap
        found = [
            one for one in reversed(self._posts)
            if (is_leaking and (one.topic.category is None or (one.topic.is_public and one.kind == _WHISPER)))
            or (one.topic.is_public and one.kind == _REGULAR)
        ]  # fmt: skip
        if "old" in self.trap:
            last = before if before > 0 else len(self._posts)
            found = [one for one in found if last - _PAGE < one.id <= last]
        elif before > 0:
            found = [one for one in found if one.id < before]
        return as_json({"latest_posts": [self._told(one, is_listed=True) for one in found[:_PAGE]]})

    def _told(self, one: Said, *, is_listed: bool = False) -> dict[str, Any]:
        who = self._person(one.author, self._people.index(one.author) + 1)
        said = {
            **who, "id": one.id, "user_id": who["id"], "created_at": _stamp(one.at), "updated_at": _stamp(one.at),
            "post_number": one.number, "post_type": one.kind, "reply_to_post_number": one.reply_to,
            "topic_id": one.topic.id, "topic_slug": one.topic.slug, "cooked": one.cooked, "reply_count": 0, "reads": 4,
            "hidden": one.is_hidden, "user_deleted": one.is_withdrawn, "version": 1,
        }  # fmt: skip
        if one.is_hidden:
            said |= {"cooked": "<p>This post was flagged by the community.</p>", "cooked_hidden": True}
        if is_listed:
            said |= {"topic_title": one.topic.slug, "category_id": one.topic.category, "raw": "tea"}
        return said

    @route(r"/latest\.json")
    def latest(self, request: Request) -> Answer:
        turned = whole(query(request).get("page"), 0)
        topics = sorted(
            (one for one in self._topics if one.is_public or ("leak" in self.trap and one.is_open)),
            key=lambda one: one.posts[-1].at, reverse=True,
        )  # fmt: skip
        shown = [
            {"id": one.id, "slug": one.slug, "title": one.slug, "archetype": "regular", "visible": one.is_listed,
             "created_at": _stamp(one.at), "bumped_at": _stamp(one.posts[-1].at), "category_id": one.category,
             "pinned": False, "posts_count": len(one.posts)}
            for one in topics[turned * _TOPICS : (turned + 1) * _TOPICS]
        ]  # fmt: skip
        listed: dict[str, Any] = {"per_page": _TOPICS, "topics": shown}
        if (turned + 1) * _TOPICS < len(topics):
            listed["more_topics_url"] = f"/latest?no_definitions=true&page={turned + 1}"
        return as_json({"users": [], "topic_list": listed})

    def _find(self, identity: str) -> tuple[Topic, list[Said]] | None:
        """Return a topic that is shown to whoever has its address, with the posts that are shown of it."""
        topic = next((one for one in self._topics if str(one.id) == identity), None)
        is_leaking = "leak" in self.trap
        if topic is None or not (topic.is_open or is_leaking):
            return None
        return topic, topic.posts if is_leaking else topic.shown

    @route(r"/t/([0-9]+)\.json")
    def topic(self, request: Request, identity: str) -> Answer:
        found = self._find(identity)
        if found is None:
            return self.missing(request)
        topic, posts = found
        shown = [self._told(one) for one in posts[:_STREAM]]
        return as_json({
            "id": topic.id, "slug": topic.slug, "title": topic.slug, "posts_count": len(posts), "views": 7,
            "archetype": "regular" if topic.category else "private_message", "visible": topic.is_listed,
            "category_id": topic.category, "tags": ["rain"], "created_at": _stamp(topic.at), "deleted_at": None,
            "post_stream": {"posts": shown, "stream": [one.id for one in posts]},
        })  # fmt: skip

    @route(r"/t/([0-9]+)/posts\.json")
    def stream(self, request: Request, identity: str) -> Answer:
        found = self._find(identity)
        pairs = parse_qsl(request.target.partition("?")[2])
        ids = {value for name, value in pairs if name == "post_ids[]"}
        if found is None or not ids:
            return self.missing(request)
        shown = [self._told(one) for one in found[1] if str(one.id) in ids]
        return as_json({"post_stream": {"posts": shown}, "id": found[0].id})

    @route(r"/u/([a-z0-9_]+)\.json")
    def person(self, request: Request, name: str) -> Answer:
        everybody = [*self._people, *self._silent]
        if name not in everybody:
            return self.missing(request)
        is_hidden = name == self._people[1]
        more = {"profile_hidden": True} if is_hidden else {"bio_raw": "tea", "created_at": _stamp(self._at)}
        return as_json({"user": self._person(name, everybody.index(name) + 1) | more})

    @route(r"/u/([a-z0-9_]+)")
    def profile(self, request: Request, name: str) -> Answer:
        if name not in {*self._people, *self._silent}:
            return self.missing(request)
        return self._shown(name, f'<div class="user-crawler"><h2>{name}</h2></div>')

    @route(r"/(?:login)?")
    def home(self, request: Request) -> Answer:
        is_login = request.path == "/login"
        return self._shown("Herons", "<p>Log in</p>" if is_login else self._rows(self._listed(None)[:_TOPICS]))

    def _listed(self, category: int | None) -> list[Topic]:
        return [one for one in reversed(self._topics) if one.is_public and category in {None, one.category}]

    def _rows(self, topics: Sequence[Topic]) -> str:
        return "".join(
            f'<tr class="topic-list-item"><td><a href="{one.path}">{one.slug}</a></td></tr>' for one in topics
        )

    @route(r"/c/(?:[a-z-]+/){1,2}([0-9]+)")
    def category(self, request: Request, identity: str) -> Answer:
        category, turned = int(identity), whole(query(request).get("page"), 0)
        if category not in _CATEGORIES or not _CATEGORIES[category][2]:
            return self.missing(request)
        topics = self._listed(category)
        following = self._category_path(category, turned + 1) if (turned + 1) * _TOPICS < len(topics) else ""
        return self._shown("tea", self._rows(topics[turned * _TOPICS : (turned + 1) * _TOPICS]), following)

    @route(r"/t/([A-Za-z0-9-]+)/([0-9]+)")
    def read(self, request: Request, slug: str, identity: str) -> Answer:
        found, turned = self._find(identity), max(whole(query(request).get("page"), 1), 1)
        if found is None:
            return self.missing(request)
        topic, pages = found[0], -(-len(found[0].shown) // _STREAM)
        if slug != topic.slug or turned > pages:
            return moved(topic.path + (f"?page={pages}" if turned > pages > 1 else ""), 301)
        posts = topic.shown[(turned - 1) * _STREAM : turned * _STREAM]
        said = "".join(
            f'<div id="post_{one.number}" class="topic-body crawler-post"><span class="creator">{one.author}</span>'
            f'<time datetime="{_stamp(one.at)}"></time><div class="post" itemprop="text">'
            f"{'' if one.is_hidden else one.cooked}</div></div>"
            for one in posts
        )
        return self._shown(topic.slug, said, f"{topic.path}?page={turned + 1}" if turned < pages else "")

    @route(r"/uploads/short-url/.+")
    def attachment(self, request: Request) -> Answer:
        target = self._redirects.get(request.path)
        return moved(target) if target else self.missing(request)

    def _shown(self, title: str, body: str, following: str = "", status: int = 200) -> Answer:
        head = '<meta name="generator" content="Discourse 3.5.0 - https://github.com/discourse/discourse version 0">'
        head += '<link rel="stylesheet" href="/stylesheets/desktop.css">'
        if following:
            head += f'<link rel="next" href="{following}">'
            body += f'<div role="navigation"><a rel="next" itemprop="url" href="{following}">next page</a></div>'
        return html(title, body, status=status, head=head)


def _stamp(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.000Z"


if __name__ == "__main__":
    main(DiscourseSite)
