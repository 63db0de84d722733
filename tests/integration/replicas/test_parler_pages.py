"""Every page of the replica says what its truth says, read with nothing but XPath over the classes of parler.md."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import pytest
from lxml import html

from crawler.replicas.launch import NOW
from crawler.replicas.parler.cards import ago, short
from crawler.replicas.run import Running
from tests.integration.replicas.client import Clients

Truth = dict[str, list[dict[str, Any]]]


def at(class_: str) -> str:
    return f"descendant::*[contains(concat(' ', @class, ' '), ' {class_} ')]"


def said(node: Any) -> str:
    for br in node.xpath("descendant::br"):
        br.tail = "\n" + (br.tail or "")
    return node.text_content()


def page(wire: Clients, url: str) -> Any:
    reply = wire.get(url, Accept_Encoding="gzip")
    assert reply.status == 200, url
    return html.document_fromstring(reply.text)


@pytest.fixture(scope="session")
def pages(wire: Clients, truth: Truth) -> list[tuple[dict[str, Any], Any]]:
    return [(post, page(wire, post["url"])) for post in truth["post"]]


def cards(tree: Any, place: str) -> list[Any]:
    return tree.xpath(f"//*[contains(concat(' ', @class, ' '), ' {place} ')]")


def test_the_head_of_a_post_page(pages: list[tuple[dict[str, Any], Any]]) -> None:
    for post, tree in pages:
        meta = {m.get("property") or m.get("name"): m.get("content") for m in tree.xpath("//meta[@content]")}
        assert meta["og:url"] == f"/post/{post['id']}"
        start = f"@{post['author']} - {post['author_name']} - "
        assert meta["og:title"] == meta["twitter:title"]
        assert meta["og:title"].startswith(start)
        body = meta["og:title"].removeprefix(start)
        assert post["text"].startswith(body)
        assert meta["og:description"] == meta["description"] == (body or "Parleyed on Parler")
        assert (meta["og:site_name"], meta["twitter:site"], meta["og:type"]) == ("Parler", "@parler_app", "website")
        assert meta["og:image"] == meta["twitter:image"]
        assert tree.get("prefix") == "og: https://ogp.me/ns#"


def test_the_five_shapes(pages: list[tuple[dict[str, Any], Any]]) -> None:
    seen = set()
    for post, tree in pages:
        shape = post["shape"]
        seen.add(shape)
        own, parent, root = (cards(tree, name) for name in ("post", "echo--parent", "echo--root"))
        own = [node for node in own if "reblock" in node.get("class")]
        assert (len(own), len(parent), len(root)) == {
            1: (1, 0, 0), 2: (0, 1, 0), 3: (1, 1, 0), 4: (0, 1, 1), 5: (1, 1, 1),
        }[shape]  # fmt: skip
        byline = cards(tree, "echo-byline--wrapper")
        assert len(byline) == (shape > 1)
        if byline:
            assert byline[0].xpath(f"string({at('eb--statement')})").strip() == f"Echoed By {post['author_name']}"
        stamp = (
            byline[0].xpath(f"string({at('eb--timestamp')})")
            if byline
            else own[0].xpath(f"string({at('post--timestamp')})")
        )
        assert stamp.strip() == ago(datetime.fromisoformat(post["created_at"]), NOW)
        if own:
            assert own[0].xpath(f"string({at('author--username')})") == f"@{post['author']}"
            assert own[0].xpath(f"string({at('impressions--count')})") == short(post["impressions"])
            assert said(own[0].xpath(f"{at('card--body')}/p")[0]) == post["text"]
        assert tree.xpath("string(//*[@class='login-more']//button)") == "See More At Parler"
    assert seen == {1, 2, 3, 4, 5}


def test_counts_are_those_of_the_post_they_belong_to(pages: list[tuple[dict[str, Any], Any]]) -> None:
    for post, tree in pages:
        assert (post["comments_of"] == post["id"]) == (post["shape"] in {1, 3, 5})
        shown = dict(zip(
            tree.xpath("//div[@class='pa--item--wrapper']/img/@alt"),
            tree.xpath("//span[@class='pa--item--count']/text()"), strict=True,
        ))  # fmt: skip
        assert shown == {f"Post {name.title()}": short(count) for name, count in post["counts"].items()}


def test_echoed_posts_are_shown_as_they_are(pages: list[tuple[dict[str, Any], Any]], truth: Truth) -> None:
    by_id = {post["id"]: post for post in truth["post"]}
    for post, tree in pages:
        for place, identity in zip(("echo--parent", "echo--root"), post["echoes"], strict=False):
            card, echoed = cards(tree, place)[0], by_id[identity]
            assert card.xpath(f"string({at('author--name')})") == echoed["author_name"]
            assert said(card.xpath(f"{at('card--body')}/p")[0]) == echoed["text"]


def test_comments_and_replies_stand_on_the_page(pages: list[tuple[dict[str, Any], Any]], truth: Truth) -> None:
    by_post: dict[str, list[dict[str, Any]]] = {}
    for comment in truth["comment"]:
        by_post.setdefault(comment["post"], []).append(comment)
    assert any(comment["parent"] for comment in truth["comment"])
    for post, tree in pages:
        wanted = by_post.get(post["comments_of"], [])
        shown = tree.xpath("//div[contains(@class, 'card--comment-container')]")
        assert [
            (node.xpath(f"string({at('author--username')})")[1:], said(node.xpath(f"{at('card--body')}/p")[0]),
             tuple(node.xpath(f"{at('ca--item--count')}/text()")))
            for node in shown
        ] == [(c["author"], c["text"], tuple(short(n) for n in c["counts"].values())) for c in wanted]  # fmt: skip
        ids = [name.rpartition("-")[2] for name in tree.xpath("//*[starts-with(@id, 'replies-list-')]/@id")]
        assert ids == [comment["id"] for comment in wanted if comment["shows_id"]]
        lists = tree.xpath("//*[starts-with(@id, 'comments-list-')]/@id")
        assert lists == ([f"comments-list-{post['comments_of']}"] if wanted else [])


def test_media_of_all_kinds(pages: list[tuple[dict[str, Any], Any]], truth: Truth, wire: Clients) -> None:
    links = {thing["id"]: thing for thing in truth["link"]}
    seen = set()
    for post, tree in pages:
        own = [node for node in cards(tree, "post") if "reblock" in node.get("class")]
        if not own or post["media"] is None:
            continue
        kind = post["media"]
        seen.add(kind)
        class_ = {"iframe": "iframe-embed"}.get(kind, kind)
        blocks = own[0].xpath(f"{at('media-container--wrapper')}//div[@class='mc-{class_}--container']")
        assert len(blocks) == max(len(post["media_ids"]), 1)
        assert bool(own[0].xpath(at("sensitive--content--wrapper"))) == post["sensitive"]
        assert bool(own[0].xpath(at("mc--slider--wrapper"))) == (len(blocks) > 1)
        for block, identity in zip(blocks, post["media_ids"], strict=False):
            if kind == "image":
                sources = block.xpath(".//img/@src")
                assert len(set(sources)) == 1
                assert links[sources[0].rpartition("/")[2]]["target"].rpartition("/")[2].startswith(f"{identity}.")
                assert re.fullmatch(r"mc-image--modal--\d+", block.xpath(".//@id")[0])
            else:
                url = f"https://video.parler.com/{identity[:2]}/{identity[2:4]}/{identity}_small.mp4"
                assert block.xpath(".//video/@src | .//video/source/@src") == [url]
                assert block.xpath(f"{at('mc-video--link')}/a/@href") == [url]
        if kind in {"article", "website", "basic"}:
            link = blocks[0].xpath(f".//span[@class='mc-{kind}--link']/a")[0]
            assert links[link.get("href").rpartition("/")[2]]["target"] == link.text
        if kind in {"iframe", "audio"}:
            assert blocks[0].xpath(".//iframe/@src | .//audio/source/@src")[0].startswith("https://")
    assert seen == {"image", "video", "article", "website", "basic", "iframe", "audio"}


def test_mentions(pages: list[tuple[dict[str, Any], Any]]) -> None:
    hidden = linked = 0
    for post, tree in pages:
        own = [node for node in cards(tree, "post") if "reblock" in node.get("class")]
        if own:
            names = own[0].xpath(".//p/a[@class='at']/@href")
            assert names == [f"/profile/{name}/posts" for name in post["mentions"]]
            linked += len(names)
            hidden += len(own[0].xpath(".//p/span[@class='at'][text()='@Name Hidden']"))
    assert hidden
    assert linked


def test_deleted_posts_are_still_served(truth: Truth, wire: Clients) -> None:
    deleted = [post for post in truth["post"] if post["deleted"]]
    assert deleted
    assert all(wire.get(post["url"]).status == 200 for post in deleted)


def test_profiles(truth: Truth, wire: Clients) -> None:
    posts: dict[str, list[dict[str, Any]]] = {}
    for post in truth["post"]:
        posts.setdefault(post["author"], []).append(post)
    pictures = {thing["profile"]: thing["url"] for thing in truth["avatar"]}
    banners = {thing["profile"]: thing["url"] for thing in truth["banner"]}
    counts = []
    for profile in truth["profile"]:
        name = profile["id"]
        tree = page(wire, profile["url"])
        assert tree.xpath("//meta[@property='og:url']/@content") == [f"/profile/{name}/posts"]
        assert tree.xpath("string(//span[@class='profile--username'])") == name
        assert tree.xpath("string(//span[@class='profile--name'])") == profile["name"]
        assert tree.xpath("string(//span[@class='profile--bio'])").strip() == profile["bio"]
        default = "https://company-media.parler.com/par-default-"
        assert tree.xpath("//div[@class='profile-photo-image']/img/@src") == [
            pictures.get(name, f"{default}profile-picture.jpg")
        ]
        assert tree.xpath("//div[@id='hero--top']/img/@src") == [banners.get(name, f"{default}banner.jpg")]
        wrappers = tree.xpath("//div[@class='post--card--wrapper']")
        counts.append(len(wrappers))
        newest = posts.get(name, [])[:-21:-1]
        assert len(wrappers) == len(newest)
        for wrapper, post in zip(wrappers, newest, strict=True):
            leaked = wrapper.xpath("div/@id[starts-with(., 'comments-list-')]")
            assert leaked in ([], [f"comments-list-{post['comments_of']}"])
        assert not tree.xpath("//a[contains(@href, 'startkey') or contains(@href, 'page=')]")
    assert max(counts) == 20


def test_unknown_and_private_profiles_are_an_empty_shell_with_status_200(truth: Truth, wire: Clients) -> None:
    private = [thing["url"] for thing in truth["private-profile"]]
    assert private
    for url in ["https://parler.com/profile/nobody_77777/posts", "https://parler.com/profile/nobody", *private]:
        reply = wire.get(url)
        assert reply.status == 200
        assert "<app-root>" in reply.text
        assert "og:url" not in reply.text


def test_share_pages(truth: Truth, wire: Clients) -> None:
    for share in truth["share"][::3]:
        tree = page(wire, share["url"])
        assert tree.xpath("string(//*[@id='ud--name'])") == share["author_name"]
        assert said(tree.xpath("//*[@id='post--content']/p")[0]) == share["text"]
        assert tree.xpath("//*[@id='ud--avatar']/img/@src")


def test_the_counter_gives_ids_and_holes(parler: Running, truth: Truth, wire: Clients) -> None:
    by_number = {post["number"]: post["id"] for post in truth["post"]}
    facts = parler.truth()
    assert (facts["first"], facts["last"]) == (min(by_number), max(by_number))
    for number in range(facts["last"] + 3):
        reply = wire.get(f"https://api.parler.com/v3/uuidConversion/post/{number}")
        if number in by_number:
            found = re.search(rb"[0-9a-f]+", reply.body)
            assert found is not None
            assert found[0].decode() == by_number[number]
            assert reply.body != found[0]
        else:
            assert reply.status == 404
            assert reply.body == b'{"message":"No resource for URL","fieldvalidationsMap":[]}'
    assert facts["last"] - len(by_number) > 5


def test_what_nobody_has_is_404(wire: Clients) -> None:
    for url in (
        "https://parler.com/post/" + "0" * 32, "https://share.par.pw/post/" + "0" * 32, "https://api.parler.com/l/00000",
        "https://image-cdn.parler.com/a/b/ab00000000.png", "https://video.parler.com/ab/cd/abcd00000000",
        "https://images.parler.com/" + "0" * 32 + "_256", "https://api.parler.com/robots.txt",
        "https://video.parler.com/robots.txt", "https://parler.com/feed",
    ):  # fmt: skip
        assert wire.get(url).status == 404, url


def test_robots_forbid_no_post(wire: Clients) -> None:
    rules = wire.get("https://parler.com/robots.txt").text.splitlines()
    assert "Disallow: /auth/" in rules
    assert not [rule for rule in rules if rule in {"Disallow: /", "Disallow: /post/", "Disallow: /profile/"}]


def test_assets_and_papers_are_there(truth: Truth, wire: Clients, pages: list[tuple[dict[str, Any], Any]]) -> None:
    listed = {thing["url"] for thing in truth["asset"]}
    assert all(wire.get(url).status == 200 for url in listed)
    for _, tree in pages:
        named = tree.xpath("//link/@href | //script/@src | //img[starts-with(@src, '/')]/@src")
        assert {f"https://parler.com{path}" for path in named} <= listed


@pytest.mark.parametrize("path", ["/v1/post?id={}", "/v1/discover/posts", "/v1/profile?username=x"])
def test_the_api_wants_cookies(path: str, truth: Truth, wire: Clients) -> None:
    for host in ("api.parler.com", "par.pw"):
        reply = wire.get(f"https://{host}{path.format(truth['post'][0]['id'])}")
        assert reply.status == 401
        assert b"fieldvalidationsMap" in reply.body
