"""Hacker News, its API and its pages: python -P -m crawler.replicas.hackernews.

What clients trip over: numbers that stand for nothing answer 200 with ``null``; deleted items have no author and no
text; dead ones are served; one counter numbers everything; pages of long threads go on with ``p=2``; a page that is
not there says so with 200, and so does the one for who asks too quickly.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from crawler.replicas.exchange import Answer
from crawler.replicas.kit import PlatformSite, as_json, html, main, query, route, whole

if TYPE_CHECKING:
    from crawler.replicas.exchange import Request

_API, _SITE = "hacker-news.firebaseio.com", "news.ycombinator.com"
#: Comments of one page of a thread.
_PAGE = 30
_SLOW = "Sorry, we're not able to serve your requests this quickly."


class HackerNewsSite(PlatformSite):
    """Stories, jobs, polls and what was said below them."""

    name = "hackernews"
    title = "Hacker News."
    hosts = (_SITE, _API)
    traps: ClassVar[dict[str, str]] = {
        "sparse": "half of all numbers stand for nothing, some hundred of them in a row",
        "quick": "every fifth page is first refused to who asks too quickly",
    }

    def build(self) -> None:
        """Make the items, oldest first."""
        self._items: dict[int, dict[str, Any]] = {}
        self._refused: set[str] = set()
        self._at = self.clock.moment - timedelta(days=30)
        self._last = 0
        people = [f"heron{n}" for n in range(max(self.size // 15, 3))]
        for number in range(self.size):
            self._say(number, self.rng.choice(people))
        self._last += 3
        self._people: dict[str, list[int]] = {item["by"]: [] for item in self._items.values() if "by" in item}
        for item in self._items.values():
            if "by" in item:
                self._people[item["by"]].insert(0, item["id"])
        self._enter()

    def _say(self, number: int, author: str) -> None:
        self._at += timedelta(minutes=1 + self.rng.randrange(60))
        is_sparse = "sparse" in self.trap
        self._last += 1 + (self.rng.randrange(3) if is_sparse else number % 17 == 5)
        if is_sparse and number == self.size // 2:
            self._last += 300
        topics = [one for one in self._items.values() if one["type"] in {"story", "poll"} and "deleted" not in one]
        item: dict[str, Any] = {"id": self._last, "time": int(self._at.timestamp()), "by": author}
        if number % 6 == 0 or not topics:
            item |= {
                "type": "poll" if number % 42 == 0 and number else "job" if number % 30 == 0 and number else "story"
            }
            item |= {"title": self.says(4), "score": 3, "kids": [], "descendants": 0, "parts": []}
        elif number % 42 in {1, 2} and topics[-1]["type"] == "poll":
            item |= {"type": "pollopt", "poll": topics[-1]["id"], "text": self.says(3), "score": 1}
            topics[-1]["parts"].append(self._last)
        else:
            topic = topics[-1] if number % 2 else topics[len(topics) // 2]
            above = [one for one in self._items.values() if one.get("topic") == topic["id"]]
            parent = self.rng.choice([topic, topic, *above])
            item |= {"type": "comment", "parent": parent["id"], "topic": topic["id"], "text": self.says()}
            parent.setdefault("kids", []).append(self._last)
            topic["descendants"] += 1
        if number % 25 == 9:
            item = {key: item[key] for key in ("id", "time", "type", "parent", "topic") if key in item} | {
                "deleted": True
            }
        elif number % 25 == 14:
            item["dead"] = True
        self._items[self._last] = item

    def _enter(self) -> None:
        for item in self._items.values():
            kind = "comment" if item["type"] in {"comment", "pollopt"} else "post"
            path = f"/v0/item/{item['id']}.json"
            self.books.add(
                "reply" if kind == "comment" else "post", item["id"], path, item="Post",
                at=self.clock.moment.fromtimestamp(item["time"], self.clock.moment.tzinfo).isoformat(),
            )  # fmt: skip
            if kind == "post" and "deleted" not in item:
                for part in range(max(-(-len(self._below(item["id"])) // _PAGE), 1)):
                    page = f"/item?id={item['id']}" + (f"&p={part + 1}" if part else "")
                    self.books.add("page", page, page)
        for name in self._people:
            self.books.add("account", name, f"/v0/user/{name}.json", item="Account")
            self.books.add("page", f"/user?id={name}", f"/user?id={name}")
        self.books.add("page", "/", "/")
        self.books.listing("number", self._last - len(self._items), 1)
        self.books.listing("maxitem", 1, 1)
        self.asset("/news.css")
        self.asset("/hn.js", "'use strict';\n")

    def _below(self, identity: int) -> list[dict[str, Any]]:
        return [one for one in self._items.values() if one.get("topic") == identity]

    # What it answers

    def answer(self, request: Request) -> Answer:
        """Answer on the host that has it."""
        is_api = request.path.startswith("/v0/")
        if request.path != "/robots.txt" and is_api != (request.host == _API):
            return Answer(404, b"null", "application/json")
        return super().answer(request)

    @route(r"/robots\.txt")
    def robots(self, request: Request) -> Answer:
        text = b"User-Agent: *\nDisallow: /vote?\nDisallow: /reply?\n"
        return Answer(200, text, "text/plain") if request.host == _SITE else as_json(None, 404)

    @route(r"/v0/maxitem\.json")
    def newest(self, request: Request) -> Answer:
        return as_json(self._last)

    @route(r"/v0/item/(\d+)\.json")
    def item(self, request: Request, identity: str) -> Answer:
        found = self._items.get(int(identity))
        return as_json(found and {key: value for key, value in found.items() if key != "topic" and value != []})

    @route(r"/v0/user/(\w+)\.json")
    def user(self, request: Request, name: str) -> Answer:
        if name not in self._people:
            return as_json(None)
        return as_json({"id": name, "created": 1500000000, "karma": 42, "submitted": self._people[name]})

    @route(r"/")
    def home(self, request: Request) -> Answer:
        newest = [one for one in self._items.values() if one["type"] == "story"][-30:]
        return self._page("".join(f'<a href="item?id={one["id"]}">{one.get("title")}</a>\n' for one in newest))

    @route(r"/item")
    def shown(self, request: Request) -> Answer:
        asked = query(request)
        item = self._items.get(whole(asked.get("id"), 0))
        if item is None:
            return Answer(200, b"No such item.", "text/html; charset=utf-8")
        if "quick" in self.trap and item["id"] % 5 == 0 and request.target not in self._refused:
            self._refused.add(request.target)
            return html("Sorry", f"<p>{_SLOW}</p>")
        part, below = whole(asked.get("p"), 1), self._below(item["id"])
        rows = "".join(
            f'<tr class="athing comtr" id="{one["id"]}"><td>{one.get("text", "")}'
            f'<a href="reply?id={one["id"]}">reply</a></td></tr>\n'
            for one in below[(part - 1) * _PAGE : part * _PAGE]
        )
        following = f"<a href='item?id={item['id']}&amp;p={part + 1}' class='morelink' rel='next'>More</a>"
        return self._page(f"<table>{rows}</table>{following if part * _PAGE < len(below) else ''}")

    @route(r"/user")
    def person(self, request: Request) -> Answer:
        name = query(request).get("id", "")
        return self._page(f"<p>{name}</p>") if name in self._people else Answer(200, b"No such user.")

    def _page(self, body: str) -> Answer:
        head = '<link rel="stylesheet" type="text/css" href="news.css">'
        return html("Hacker News", f'<b class="hnname">Hacker News</b>{body}<script src="hn.js"></script>', head=head)


if __name__ == "__main__":
    main(HackerNewsSite)
