"""Parler's pages as they were built (shared/platforms/parler.md section 4), with invented people in them."""

from __future__ import annotations

BUILD = "512ae92f"
POST = "0f3c9a7b1d2e4f5a8b6c7d8e9f0a1b2c"
ECHOED = "1a2b3c4d5e6f708192a3b4c5d6e7f809"
COMMENT = "2b3c4d5e6f708192a3b4c5d6e7f8091a"
FACE = "3c4d5e6f708192a3b4c5d6e7f8091a2b"
AVATAR = f"https://images.parler.com/{FACE}_256"
FILM = "https://video.parler.com/Q2/s5/Q2s5abcdefgh"
PREVIEW = "https://images.parler.com/aB3dE6gH9jK2mN5pQ8sT1vW4xY7zA0cD"


def person(
    username: str, name: str, ago: str = "4 days ago", *, badge: str = "", seen: str = "1.2k", what: str = "Post"
) -> str:
    shown = (
        f'<div class="ch--avatar--badge--wrapper"><img src="/{BUILD}/images/badges/{badge}.svg" alt="Badge"></div>'
        if badge
        else ""
    )
    views = f'<span class="separator">·</span><span class="impressions--wrapper"><i></i><span class="impressions--count">{seen}</span></span>'
    return f"""
    <div class="card--header p--flex pf--row">
      <div class="ch--col ch--avatar-col">
        <div class="ch--avatar--wrapper"><img src="{AVATAR}" alt="{what} Author Profile Pic"></div>{shown}
      </div>
      <div class="ch--col ch--meta-col">
        <a class="card-meta--row" href="/profile/{username}/posts">
          <span class="author--name">{name}</span><span class="separator">·</span>
          <span class="author--username">@{username}</span>
        </a>
        <span class="card-meta--row"><span class="post--timestamp">{ago}</span>{views if what == "Post" else ""}</span>
      </div>
      <div class="ch--col ch--menu-col"><div class="ch--more-actions--wrapper"></div></div>
    </div>"""


def card(username: str, name: str, body: str, media: str = "", ago: str = "4 days ago", badge: str = "") -> str:
    container = f'<div class="media-container--wrapper w--100">{media}</div>' if media else ""
    return f'{person(username, name, ago, badge=badge)}<div class="card--body">\n  <p>{body}</p>\n{container}</div>'


def byline(name: str, ago: str) -> str:
    return f"""
    <div class="echo-byline--wrapper">
      <div class="eb--col eb--icon"><img src="/{BUILD}/images/icons/echo.svg"></div>
      <div class="eb--col eb--profile-pic"><img src="{AVATAR}"></div>
      <div class="eb--col eb--statement"><span class="reblock">Echoed By {name}</span></div>
      <div class="eb--col eb--timestamp"><span class="reblock">{ago}</span></div>
    </div>"""


def wrapper(
    *,
    own: str = "",
    parent: str = "",
    root: str = "",
    echoed: str = "",
    counts: tuple[str, str, str] = ("12", "1.2k", "3.4k"),
    comments: str = "",
) -> str:
    arrow = f'<img class="echo--single--arrowhead" src="/{BUILD}/images/icons/arrow.svg">'
    tail = '<span class="echo--single--tail"></span>'
    roots = f"""<span class="reblock root-and-parent--wrapper extra-depth">{arrow}
        <span class="reblock echo--root show-echo-arrows">{root}</span>{tail}</span>""" if root else ""  # fmt: skip
    parents = f'{arrow}<span class="reblock echo--parent show-echo-arrows">{parent}</span>{tail}' if parent else ""
    owns = f'<span class="reblock post{" show-under-echo" if parent else ""}">{own}</span>' if own else ""
    actions = "".join(
        f'<div class="pa--item--wrapper"><img src="/{BUILD}/images/icons/a.svg" alt="Post {name}"><span class="pa--item--count">{n}</span></div>'
        for name, n in zip(("Comments", "Echoes", "Upvotes"), counts, strict=True)
    )
    return f"""
    <div class="post--card--wrapper">
      <div class="card card--post-container w--100">{echoed}{roots}
        <span class="reblock parent-and-post--wrapper">{parents}{owns}</span>
        <div class="card--footer"><span class="reblock"><div class="post--actions">
          <div class="post--actions--row pa--main-row">{actions}</div></div></span></div>
      </div>{comments}
    </div>"""


def comment(
    username: str,
    name: str,
    body: str,
    counts: tuple[int, int, int] = (0, 0, 0),
    *,
    identity: str = "",
    replies: str = "",
) -> str:
    items = "".join(f'<div class="ca--item--wrapper"><span class="ca--item--count">{n}</span></div>' for n in counts)
    lists = f"""<div id="show-replies-{identity}" class="show-replies--wrapper"></div>
      <div id="replies-list-{identity}" class="replies-list--container">{replies}</div>""" if identity else ""  # fmt: skip
    return f"""
      <div class="card card--comment-container">{person(username, name, "2 hours ago", what="Comment")}
        <div class="card--body"><p>{body}</p></div>
        <div class="card--footer"><div class="comment--actions">{items}</div></div>
      </div>{lists}"""


def discussion(post: str, *comments: str) -> str:
    inner = "".join(f'<div class="comment--card--wrapper">{one}</div>' for one in comments)
    return f"""
    <div id="show-comments-{post}" class="show-comments--wrapper" onclick="commentsListOpen('{post}')">Show</div>
    <div id="hide-comments-{post}" class="hide-comments--wrapper">Hide</div>
    <div id="comments-list-{post}" class="comments-list--container">{inner}</div>"""


def head(title: str, description: str, path: str) -> str:
    return f"""<head><meta charset="utf-8"><title>{title}</title>
    <meta name="description" content="{description}"><meta property="og:title" content="{title}">
    <meta property="og:type" content="website"><meta property="og:url" content="{path}">
    <meta property="og:site_name" content="Parler"><meta property="og:image" content="{AVATAR}">
    <meta name="twitter:card" content="summary"><meta name="twitter:site" content="@parler_app">
    <link rel="stylesheet" href="/{BUILD}/stylesheets/style.css">
    <script src="/{BUILD}/javascript/gen.js"></script>
    <script src="https://cdnjs.cloudflare.com/ajax/libs/prism/1.5.0/prism.min.js"></script></head>"""


def document(top: str, body: str) -> str:
    return f"""<!DOCTYPE html><html lang="en" prefix="og: https://ogp.me/ns#">{top}<body>
    <main id="site--wrapper" class="container--main"><div class="column--single">{body}</div></main>
    <div class="login-more"><div class="button--wrapper"><a href="https://parler.com/auth/access">
      <button class="gradient-btn bold">See More At Parler</button></a></div></div>
    <div class="footer--container"><footer id="main-footer--container">
      <a href="https://legal.parler.com/documents/guidelines.pdf">Guidelines</a></footer></div></body></html>"""


def post(
    content: str, *, author: str = "quietheron_7", name: str = "Quiet Heron", text: str = "soup", identity: str = POST
) -> str:
    return document(head(f"@{author} - {name} - {text}", text or "Parleyed on Parler", f"/post/{identity}"), content)


def profile(
    cards: str = "", *, username: str = "quietheron_7", bio: str = 'tea<br>and <a href="https://example.org/">bread</a>'
) -> str:
    hero = f"""<div id="hero--wrapper"><div id="hero"><div id="hero--top"><img src="https://images.parler.com/{FACE}_1200"></div>
      <div id="hero--bottom"><div class="profile-photo-image"><img src="{AVATAR}"></div>
      <img src="/{BUILD}/images/badges/08.svg"><span class="profile--name">Quiet Heron</span>
      <span class="profile--username">{username}</span><span class="profile--bio">{bio}</span></div></div></div>"""
    return document(
        head(f"@{username} - Quiet Heron", f"{username}'s Parler Profile", f"/profile/{username}/posts"), hero + cards
    )


def image(link: str = "xXtqI", number: int = 41600001) -> str:
    url = f"https://api.parler.com/l/{link}"
    return f"""<div class="mc-image--container"><div id="mc-image--modal--{number}" class="mc-image--modal">
      <span></span><img class="mc-image--modal--element" src="{url}"></div>
      <div class="mc-image--wrapper"><img src="{url}"></div></div>"""


def film(small: str = "_small.mp4", *, bare: bool = False) -> str:
    url = f"{FILM}{small}"
    player = (
        f'<video src="{url}" controls></video>'
        if bare
        else f'<video controls><source src="{url}" type="video/mp4"></video>'
    )
    return f"""<div class="mc-video--container"><div class="mc-video--wrapper">{player}</div>
      <div class="mc-video--meta--wrapper"><span class="mc-video--title">A walk</span>
      <span class="mc-video--excerpt">by the river</span><span class="mc-video--link"><a href="{url}">{url}</a></span></div></div>"""


def article(kind: str = "article", link: str = "aB3dE", *, picture: bool = True) -> str:
    shown = f'<div class="mc-{kind}--image"><img src="{PREVIEW}"></div>' if picture else ""
    return f"""<div class="mc-{kind}--container">{shown}<div class="mc-{kind}--meta--wrapper">
      <span class="mc-{kind}--title">On kettles</span><span class="mc-{kind}--excerpt">A long read</span>
      <span class="mc-{kind}--link"><a href="https://api.parler.com/l/{link}">https://elsewhere.example/kettles</a></span></div></div>"""


BASIC = f"""<div class="mc-basic--container"><img src="/{BUILD}/images/icons/link.svg">
  <span class="mc-basic--link"><a href="https://api.parler.com/l/bAs1c">https://elsewhere.example/b</a></span></div>"""
IFRAME = """<div class="mc-iframe-embed--container"><div class="mc-iframe-embed--wrapper">
  <iframe src="https://www.youtube.com/embed/abc"></iframe></div><div class="mc-iframe-embed--meta--wrapper">
  <span class="mc-iframe-embed--link"><a href="https://www.youtube.com/embed/abc">https://www.youtube.com/watch?v=abc</a></span></div></div>"""
AUDIO = """<div class="mc-audio--container"><div class="mc-audio--wrapper"><audio controls>
  <source src="https://podcast.example/7.mp3" type="audio/mpeg"></audio></div></div>"""


def slider(identity: str, *items: str) -> str:
    slides = "".join(f'<div class="mc--slide">{item}</div>' for item in items)
    return f"""<div id="mc--slider--{identity}" class="mc--slider--wrapper"><div class="mc--slider">{slides}</div>
      <span class="mc--nav previous"></span><span class="mc--nav next"></span></div>"""


def sensitive(identity: str, inner: str) -> str:
    return f"""<div id="sensitive--content--wrapper-{identity}" class="sensitive--content--wrapper">
      <div class="sensitive--content-action">Sensitive</div>{inner}</div>"""


SHELL = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<title>Parler Free Speech Social Network</title><base href="/"></head><body><app-root></app-root></body></html>"""
SHARE = f"""<!DOCTYPE html><html><body><div id="ud--name">Quiet Heron</div><div id="ud--avatar"><img src="{AVATAR}"></div>
<div id="post--content"><p>soup</p></div><div id="media-placeholder--wrapper"><img id="media--placeholder"
src="https://image-cdn.parler.com/z/4/z4xxxxxxxx.jpeg"></div></body></html>"""
