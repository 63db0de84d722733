"""A community site that nobody wrote a spider for: python -P -m crawler.replicas.attic.

Posts are numbered, come in clumps, and nothing lists them: the front page names one. A post for members leads to the
login. With ``--trap soft`` what is not there answers 200 and says so in words.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from crawler.replicas.kit import PlatformSite, base, html, main, moved, route

if TYPE_CHECKING:
    from crawler.replicas.exchange import Answer, Request

_HEAD = '<link rel="stylesheet" href="/style.css"><link rel="icon" href="/icon.png">'


@dataclass
class Entry:
    """A post with what was said about it."""

    number: int
    author: int
    title: str
    text: str
    at: str
    image: str
    is_public: bool
    comments: list[tuple[int, int, str]] = field(default_factory=list)


class Attic(PlatformSite):
    """Pages and pictures, nothing else."""

    name = "attic"
    title = "An old community site."
    traps: ClassVar[dict[str, str]] = {"soft": "what is not there answers 200"}

    def build(self) -> None:
        self.people = [f"Keeper{n}" for n in range(1, 2 + self.size // 40)]
        self.entries: dict[int, Entry] = {}
        self.asset("/style.css")
        self.image("/icon.png", kind="asset")
        self.books.add("page", "/", "/")
        number, comment = 0, 0
        while len(self.entries) < self.size:
            number += self.rng.randint(40, 400)
            for _ in range(self.rng.randint(3, 30)):
                number += 1
                comment = self._post(number, comment)
        for n, name in enumerate(self.people, 1):
            self.books.add("account", n, f"/keeper/{n}", item="Account", name=name)
        #: The highest number that is known from outside.
        self.top = number + 100

    def _post(self, number: int, comment: int) -> int:
        public = self.rng.random() > 0.1
        author = self.rng.randint(1, len(self.people))
        at = (self.clock.moment - timedelta(hours=3 * (20_000 - number))).isoformat()
        image = self.image(f"/files/{number}.jpg", public=public) if public else f"/files/{number}.jpg"
        entry = Entry(number, author, f"No. {number}", self.says(public=public), at, image, public)
        self.books.add("post", number, f"/post/{number}", public=public, item="Post", at=at)
        for _ in range(self.rng.randint(0, 3) if public else 0):
            comment += 1
            entry.comments.append((comment, self.rng.randint(1, len(self.people)), self.says(6)))
            self.books.add("comment", comment, item="Post")
        self.entries[number] = entry
        return comment

    @route("/")
    def home(self, request: Request) -> Answer:
        """Answer with a page that names one post."""
        first = min(number for number, entry in self.entries.items() if entry.is_public)
        return html("The attic", f'<a href="{base(request)}/post/{first}">One of many</a>', head=_HEAD)

    @route("/login")
    def door(self, request: Request) -> Answer:
        """Answer with a form."""
        return html("Log in", '<form method="post"><input name="name"></form>', head=_HEAD)

    @route(r"/post/(\d{1,9})")
    def post(self, request: Request, number: str) -> Answer:
        """Answer with a post, if strangers may see it."""
        entry = self.entries.get(int(number))
        if entry is None:
            return self.missing(request)
        if not entry.is_public:
            return moved(f"{base(request)}/login")
        said = "".join(
            f'<li id="c{n}"><a href="/keeper/{who}">{self.people[who - 1]}</a> <q>{text}</q></li>'
            for n, who, text in entry.comments
        )
        by = f'<a class="by" href="/keeper/{entry.author}">{self.people[entry.author - 1]}</a>'
        body = (
            f'<article data-no="{entry.number}"><h1>{entry.title}</h1>{by} <time datetime="{entry.at}"></time>'
            f'<p>{entry.text}</p><img src="{entry.image}"></article><ol class="comments">{said}</ol>'
        )
        return html(entry.title, body, head=_HEAD)

    @route(r"/keeper/(\d{1,6})")
    def keeper(self, request: Request, number: str) -> Answer:
        """Answer with what is known of somebody, which is little."""
        if not 1 <= int(number) <= len(self.people):
            return self.missing(request)
        name = self.people[int(number) - 1]
        return html(name, f"<h1>{name}</h1><p>Keeps things.</p>", head=_HEAD)

    def missing(self, request: Request) -> Answer:
        """Answer for what is not there."""
        text = "<p class=gone>There is nothing under this number.</p>"
        return html("Nothing", text, status=200 if "soft" in self.trap else 404, head=_HEAD)

    def facts(self) -> dict[str, object]:
        """Return how far the numbers may go."""
        return {"top": self.top}


if __name__ == "__main__":
    main(Attic)
