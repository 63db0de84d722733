"""What sets forum engines apart, as their replica shows it: addresses, and the marks in their pages.

A template is filled with ``str.format``; addresses begin with a slash and are given a session where guests are.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Skin:
    """How one engine's pages are made."""

    title: str
    #: Attributes of ``html`` and ``body``, and what stands in the head and at the foot.
    html: str = ""
    body: str = ""
    head: str = ""
    foot: str = ""
    #: Addresses of a first page, and of another: ``id``, ``slug``, and ``page`` from 1 or ``start`` from 0.
    board: tuple[str, str]
    thread: tuple[str, str]
    member: str
    file: str
    members: tuple[str, str]
    avatar: str = "/avatars/{id}.jpg"
    #: How a session is named in links; empty where there is none.
    session: str = ""
    #: Parameters stand between these: ``&``, or ``;``.
    joint: str = "&amp;"
    login: str = "/login"
    #: A login form at 200 in place of a redirect.
    login_form: str = ""
    stats: str
    forum: str
    row: str
    #: Class of a row that is pinned, and what a row holds that only says where a thread has gone.
    pinned: str = ""
    moved: str = ""
    unapproved: str = ""
    rows: str = "{rows}"
    pager: str = '<div class="pagination">{links}</div>'
    post: str
    deleted: str = ""
    edited: str = ""
    attached: str = '<div class="attachments"><a href="{url}">bird.jpg</a></div>'
    person: str = "<h1>{name}</h1>"
    #: How times read, as ``strftime`` has it; ISO 8601 where nothing is said.
    time: str = ""


SKINS = {
    "phpbb": Skin(
        title="phpBB", body='id="phpbb" class="nojs section-index ltr"', session="sid={0}",
        foot='<div class="copyright">Powered by <a href="https://www.phpbb.com/">phpBB</a>&reg;</div>'
        '<a href="/ucp.php?mode=login">Login</a><a href="/posting.php?mode=reply&amp;t=1">Reply</a>'
        '<a href="/viewforum.php?f=1&amp;mark=topics">Mark read</a><a href="/search.php?search_id=active_topics">a</a>',
        board=("/viewforum.php?f={id}", "/viewforum.php?f={id}&start={start}"),
        thread=("/viewtopic.php?t={id}", "/viewtopic.php?t={id}&start={start}"),
        member="/memberlist.php?mode=viewprofile&u={id}", file="/download/file.php?id={id}&mode=view",
        members=("/memberlist.php", "/memberlist.php?start={start}"), avatar="/download/file.php?avatar={id}_1.jpg",
        login_form='<form action="./ucp.php?mode=login" method="post" id="login"><input name="username"></form>',
        stats='<div class="stat-block statistics"><h3>Statistics</h3><p>Total posts <strong>{posts}</strong> &bull; Total '
        'topics <strong>{threads}</strong> &bull; Total members <strong>{members}</strong></p></div>',
        forum='<li class="row"><dl class="row-item forum_read"><a class="forumtitle" href="{url}">{name}</a></dl></li>',
        rows='<ul class="topiclist topics">{rows}</ul>',
        row='<li class="row bg1 {pinned}"><dl class="row-item topic_read {moved} {hidden}"><dt><a class="topictitle" '
        'href="{url}">{title}</a>{parts}<div class="topic-poster"><time datetime="{began}">then</time></div></dt>'
        '<dd class="lastpost"><time datetime="{last}">then</time></dd></dl></li>',
        pinned="sticky", moved="topic_moved", unapproved="topic_unapproved",
        post='<div id="p{id}" class="post has-profile {hidden}"><dl class="postprofile"><dt><div class="avatar-container">'
        '<img class="avatar" src="{avatar}"></div><a href="{member}" class="username">{name}</a></dt></dl><div '
        'class="postbody"><div id="post_content{id}"><p class="author"><a class="unread" href="{permalink}">#</a> by '
        '<strong><a href="{member}" class="username">{name}</a></strong> &raquo; <time datetime="{when}">then</time></p>'
        '<div class="content">{text}</div>{files}{edited}</div></div></div>',
        edited='<div class="notice">Last edited by Heron on <time datetime="{when}">then</time></div>',
        attached='<dl class="attachbox"><dd><dl class="file"><dt class="attach-image"><img src="{url}" '
        'class="postimage"></dt></dl></dd></dl>',
        person='<h2 class="memberlist-title">{name}</h2><img class="avatar" src="{avatar}">',
    ),
    "xenforo": Skin(
        title="XenForo", html='id="XF" lang="en-US" dir="LTR" data-app="public" data-template="{template}"',
        foot='<a href="/login/">Log in</a><a href="/whats-new/posts/">New</a><a href="/forums/-/mark-read">Mark</a>',
        board=("/forums/{slug}.{id}/", "/forums/{slug}.{id}/page-{page}"),
        thread=("/threads/{slug}.{id}/", "/threads/{slug}.{id}/page-{page}"),
        member="/members/{slug}.{id}/", file="/attachments/bird-jpg.{id}/",
        members=("/members/list/", "/members/list/?page={page}"), avatar="/data/avatars/m/0/{id}.jpg", login="/login/",
        stats='<div data-widget-definition="forum_statistics"><dl class="pairs"><dt>Threads</dt> <dd>{threads}</dd></dl> '
        '<dl class="pairs"><dt>Messages</dt> <dd>{posts}</dd></dl> <dl class="pairs"><dt>Members</dt> <dd>{members}</dd></dl>'
        "</div>",
        forum='<div class="node node--id{id} node--forum"><h3 class="node-title"><a href="{url}">{name}</a></h3></div>',
        row='<div class="structItem structItem--thread js-threadListItem-{id} {hidden}"><ul class="structItem-statuses">'
        '<li class="{pinned}{moved}"></li></ul><div class="structItem-title"><a href="{url}">{title}</a></div>'
        '<time class="u-dt" datetime="{began}">then</time><span class="structItem-pageJump">{parts}</span>'
        '<a href="{url}latest"><time class="structItem-latestDate u-dt" datetime="{last}">then</time></a></div>',
        pinned="structItem-status structItem-status--sticky", moved="structItem-status structItem-status--redirect",
        unapproved="structItem--moderated", pager='<div class="pageNav">{links}</div>',
        post='<article class="message message--post js-post {hidden}" data-author="{name}" data-content="post-{id}" '
        'id="js-post-{id}"><div class="message-cell message-cell--user"><div class="message-avatar"><img src="{avatar}">'
        '</div><h4 class="message-name"><a href="{member}" class="username">{name}</a></h4></div><ul '
        'class="message-attribution-main"><li><a href="{permalink}"><time datetime="{when}">then</time></a></li></ul>'
        '<article class="message-body js-selectToQuote"><div class="bbWrapper">{text}</div></article>{files}{edited}</article>',
        deleted='<div class="messageNotice messageNotice--deleted">Deleted</div>',
        edited='<div class="message-lastEdit">Last edited: <time datetime="{when}">then</time></div>',
        attached='<section class="message-attachments"><a class="file-preview js-lbImage" href="{url}">bird</a></section>',
        person='<h1 class="memberHeader-name">{name}</h1><div class="memberHeader-avatar"><img src="{avatar}"></div>',
    ),
    "vbulletin": Skin(
        title="vBulletin 4", head='<meta name="generator" content="vBulletin 4.2.5" />', session="s={0}",
        foot='<a href="/login.php?do=logout">Log out</a><a href="/newreply.php?do=newreply&amp;p=1">Reply</a>'
        '<a href="/calendar.php">Calendar</a><a href="/showthread.php?goto=newpost&amp;t=1">new</a>',
        board=("/forumdisplay.php?{id}-{slug}", "/forumdisplay.php?{id}-{slug}/page{page}"),
        thread=("/showthread.php?{id}-{slug}", "/showthread.php?{id}-{slug}/page{page}"),
        member="/member.php?{id}-{slug}", file="/attachment.php?attachmentid={id}&d=1300000000",
        members=("/memberlist.php", "/memberlist.php?order=asc&sort=username&page={page}"),
        avatar="/customavatars/avatar{id}_1.gif",
        login_form="<!-- permission error message - user not logged in --><form action='/login.php?do=login'></form>",
        stats='<div id="wgo_stats"><dl><dt>Threads</dt> <dd>{threads}</dd> <dt>Posts</dt> <dd>{posts}</dd> <dt>Members</dt> '
        "<dd>{members}</dd></dl></div>",
        forum='<li id="forum{id}" class="forumbit_post"><h2 class="forumtitle"><a href="{url}">{name}</a></h2></li>',
        row='<li class="threadbit {pinned}{moved}" id="thread_{id}"><h3 class="threadtitle"><a class="title" href="{url}" '
        'id="thread_title_{id}">{title}</a></h3><div class="threadmeta"><span class="label">Started by Heron, {began}</span></div>{parts}<dl class="threadlastpost">'
        '<dd>{last}</dd></dl></li>',
        pinned="sticky", moved="moved",
        post='<li class="postbitlegacy postbitim postcontainer" id="post_{id}"><div class="posthead"><span class="postdate">'
        '<span class="date">{when}</span></span></div><div class="userinfo"><a class="username offline" '
        'href="{member}"><strong>{name}</strong></a><a class="postuseravatar" href="{member}"><img src="{avatar}"></a></div>'
        '<div class="postbody"><div id="post_message_{id}"><blockquote class="postcontent restore">{text}</blockquote></div>'
        '{files}{edited}</div></li>',
        edited='<blockquote class="lastedited">Last edited by Heron; {when}</blockquote>', time="%m-%d-%Y, %I:%M %p",
        person='<div id="userinfo"><span class="member_username">{name}</span></div>',
    ),
    "vbulletin5": Skin(
        title="vBulletin 5", head='<meta name="generator" content="vBulletin 5.7.5" />',
        foot='<a href="/auth/login-form">Log in</a>',
        board=("/forum/{slug}{id}", "/forum/{slug}{id}/page{page}"),
        thread=("/forum/birds/{id}-{slug}", "/forum/birds/{id}-{slug}/page{page}"),
        member="/member/{id}-{slug}", file="/filedata/fetch?id={id}",
        members=("", ""), avatar="/core/customavatars/avatar{id}_1.gif", login="/auth/login-form",
        stats='<div class="b-module--statistics">Topics: {threads} Posts: {posts} Members: {members}</div>',
        forum='<tr class="forum-item" id="forum{id}"><td><a class="forum-title" href="{url}">{name}</a></td></tr>',
        rows="<table>{rows}</table>",
        row='<tr class="topic-item {pinned}" data-node-id="{id}"><td class="cell-topic"><i class="{moved}"></i>'
        '<a class="topic-title" href="{url}">{title}</a>{parts}</td><td><time datetime="{began}">a</time></td>'
        '<td><time datetime="{last}">b</time></td></tr>',
        pinned="sticky", moved="topic-moved", pager='<div class="pagenav">{links}</div>',
        post='<li class="b-post" data-node-id="{id}"><div class="b-userinfo"><div class="author"><a href="{member}">{name}</a>'
        '</div><span class="b-avatar"><img src="{avatar}"></span></div><time itemprop="dateCreated" datetime="{when}">then'
        '</time><div class="js-post__content-text">{text}</div>{files}{edited}</li>',
        edited='<div class="b-post__edit-reason"><time datetime="{when}">then</time></div>',
        attached='<div class="b-post__attachments"><a href="{url}">bird.jpg</a></div>',
    ),
    "smf": Skin(
        title="SMF", head='<script>var smf_theme_url = "/Themes/default";</script>', session="PHPSESSID={0}", joint="&amp;",
        foot='<a href="https://www.simplemachines.org">SMF 2.0.19</a><a href="/index.php?action=markasread;sa=all">Read</a>'
        '<a href="/index.php?action=reporttm;topic=1.0;msg=1">Report</a><a href="/index.php?action=printpage;topic=1.0">P</a>'
        '<link rel="next" href="/index.php?topic=1.0;prev_next=next">',
        board=("/index.php?board={id}.0", "/index.php?board={id}.{start}"),
        thread=("/index.php?topic={id}.0", "/index.php?topic={id}.{start}"),
        member="/index.php?action=profile;u={id}", file="/index.php?action=dlattach;topic={thread}.0;attach={id};image",
        members=("/index.php?action=mlist", "/index.php?action=mlist;sort=realName;start={start}"),
        login_form='<form action="/index.php?action=login2" id="frmLogin" method="post"></form>',
        stats='<div id="upshrinkHeaderIC">{posts} Posts in {threads} Topics by {members} Members.</div>',
        forum='<tr><td class="info"><a class="subject" href="{url}" name="b{id}">{name}</a></td></tr>',
        rows="<table>{rows}</table>",
        row='<tr><td class="subject {pinned}windowbg2"><i class="{moved}"></i><span id="msg_{first}"><a href="{url}">{title}'
        '</a></span><small>{parts}</small></td><td class="lastpost"><a href="/index.php?topic={id}.msg{first}#new">L</a>'
        "{last}</td></tr>",
        pinned="stickybg ", moved="main_icons moved", pager='<div class="pagelinks">{links}</div>',
        post='<div class="windowbg"><div class="post_wrapper"><div class="poster"><h4><a href="{member}">{name}</a></h4>'
        '<ul><li class="avatar"><img class="avatar" src="{avatar}"></li></ul></div><div class="postarea"><div '
        'class="keyinfo"><h5 id="subject_{id}"><a href="{permalink}">Re</a></h5><div class="smalltext">&#171; on: {when} '
        '&#187;</div></div><div class="post"><div class="inner" id="msg_{id}">{text}</div></div>{files}'
        '<div class="modified">{edited}</div></div></div></div>',
        edited="<em>Last Edit: {when} by Heron</em>", time="%B %d, %Y, %I:%M:%S %p",
        person='<div id="basicinfo"><h4>{name}</h4></div><img class="avatar" src="{avatar}">',
    ),
    "invision": Skin(
        title="Invision Community", body='class="ipsApp ipsApp_front"',
        foot='<p><a href="https://www.invisioncommunity.com/">Powered by Invision Community</a></p><a href="/login/">In</a>'
        '<a href="/topic/1-x/?do=markRead">read</a>',
        board=("/forum/{id}-{slug}/", "/forum/{id}-{slug}/page/{page}/"),
        thread=("/topic/{id}-{slug}/", "/topic/{id}-{slug}/page/{page}/"),
        member="/profile/{id}-{slug}/", file="/uploads/monthly_2020_01/bird{id}.jpg", members=("", ""), login="/login/",
        avatar="/uploads/monthly_2019_01/photo-{id}.jpg",
        stats='<ul data-blockid="stats"><li><span>{threads}</span> <span>Total Topics</span></li> <li><span>{posts}</span> '
        "<span>Total Posts</span></li></ul>",
        forum='<li data-forumid="{id}"><h4 class="ipsDataItem_title"><a href="{url}">{name}</a></h4></li>',
        row='<li class="ipsDataItem" data-controller="forums.front.forum.topicRow" data-rowid="{id}"><h4 '
        'class="ipsDataItem_title"><i class="{pinned}{moved}"></i><a href="{url}">{title}</a></h4>{parts}'
        '<time datetime="{began}">a</time><time datetime="{last}">b</time></li>',
        pinned="ipsBadge_positive", moved="ipsBadge--moved", pager='<ul class="ipsPagination">{links}</ul>',
        post='<article id="elComment_{id}" class="ipsComment"><aside><h3 class="ipsComment_author"><strong '
        'class="ipsType_break"><a href="{member}">{name}</a></strong></h3><div class="cAuthorPane_photo"><img '
        'src="{avatar}"></div></aside><div id="comment-{id}_wrap"><a href="{permalink}"><time datetime="{when}">then</time>'
        '</a><div data-role="commentContent">{text}{files}</div>{edited}</div></article>',
        edited='<span class="ipsComment_edited">Edited <time datetime="{when}">then</time></span>',
        attached='<p><a class="ipsAttachLink ipsAttachLink_image" href="{url}"><img src="{url}.thumb.jpg"></a></p>',
        person='<h1>{name}</h1><div class="ipsUserPhoto"><img src="{avatar}"></div>',
    ),
    "proboards": Skin(
        title="ProBoards", foot='<p>This Forum Is Hosted For FREE By <a href="https://www.proboards.com">ProBoards</a></p>'
        '<a href="https://login.proboards.com/login/1">Login</a>',
        board=("/board/{id}/{slug}", "/board/{id}/{slug}?page={page}"),
        thread=("/thread/{id}/{slug}", "/thread/{id}/{slug}?page={page}"),
        member="/user/{id}", file="/attachment/{id}/bird.jpg", members=("/members", "/members?page={page}"),
        stats='<div class="stats">Total Threads: {threads} Total Posts: {posts} Total Members: {members}</div>',
        forum='<tr class="board item" id="board-{id}"><td><a class="board-{id}" href="{url}">{name}</a></td></tr>',
        rows="<table>{rows}</table>",
        row='<tr class="thread item {pinned} {moved}" id="thread-{id}"><td><a class="thread-link thread-{id}" href="{url}">'
        '{title}</a>{parts}</td><td><abbr data-timestamp="{began_ms}">a</abbr></td><td><abbr data-timestamp="{last_ms}">b'
        "</abbr></td></tr>",
        pinned="sticky", moved="moved", pager='<ul class="ui-pagination">{links}</ul>',
        post='<table><tr class="post item" id="post-{id}"><td><div class="avatar"><img src="{avatar}"></div><a '
        'class="user-link user-{member_id}" href="{member}">{name}</a></td><td class="content"><abbr class="o-timestamp '
        'time" data-timestamp="{when_ms}">then</abbr><div class="message">{text}</div>{files}{edited}</td></tr></table>',
        edited='<div class="edited_by">Last Edit: <abbr data-timestamp="{when_ms}">then</abbr></div>',
        person='<h1>{name}</h1><div class="avatar"><img src="{avatar}"></div>',
    ),
    "flaskbb": Skin(
        title="FlaskBB", foot='<p>powered by <a href="https://flaskbb.org">FlaskBB</a></p><a href="/auth/login">Login</a>',
        board=("/forum/{id}-{slug}", "/forum/{id}-{slug}?page={page}"),
        thread=("/topic/{id}-{slug}", "/topic/{id}-{slug}?page={page}"),
        member="/user/{slug}", file="", members=("/memberlist", "/memberlist?page={page}"), login="/auth/login",
        stats='<div class="forum-stats">Total number of registered users: {members} Total number of topics: {threads} '
        "Total number of posts: {posts}</div>",
        forum='<div class="forum-name"><a href="{url}">{name}</a></div>',
        row='<div class="row topic-row {pinned}"><div class="topic-name"><a href="{url}">{title}</a>{parts}</div>'
        '<div class="topic-last-post"><a href="/post/{first}">then</a></div></div>',
        pager='<ul class="pagination">{links}</ul>',
        post='<div id="{id}" class="row post-row"><div class="author"><div class="author-name"><h4><a href="{member}">{name}'
        '</a></h4></div><div class="author-avatar"><img src="{avatar}"></div></div><div class="post-meta"><a '
        'href="/post/{id}">{words}</a></div><div class="post-content" id="pid{id}">{text}</div></div>',
        person='<h3>{name}</h3><div class="author-avatar"><img src="{avatar}"></div>',
    ),
}  # fmt: skip
