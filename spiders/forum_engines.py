"""What sets forum engines apart, as data: how their addresses read, and where on their pages things stand.

Addresses are patterns of a path with its query, from which session ids are gone: ``id`` is the thing's, ``at`` the page
or offset. Only what matches one is ever followed: nothing that logs in, posts, reports, searches or marks as read.
Sources: phpBB's prosilver, FlaskBB's templates, forum-dl's extractors; vBulletin, Invision and ProBoards as seen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TIMES = "time[datetime], [data-time], [data-timestamp]"


def _mark(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.ASCII)


_NONE = _mark(r"(?!)")
_NUMBERED = _mark(r"(?:p|post|post_|post-|msg_?|pid|elComment_)?([0-9]{1,18})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One engine. Selectors are CSS; those of a row or a post are looked for within it."""

    name: str
    title: str
    #: What its pages show, whatever their theme.
    mark: re.Pattern[str]
    #: Addresses.
    board: re.Pattern[str]
    thread: re.Pattern[str]
    member: re.Pattern[str]
    file: re.Pattern[str] = _NONE
    #: Where the list of members is, from the seed's directory; empty where there is none worth asking.
    members: str = ""
    member_list: re.Pattern[str] = _NONE
    #: Whoever may not see that list may see no member's page either.
    has_full_list: bool = False
    #: Number of a first page whose address names none.
    first: int = 1
    #: Board index: links to boards, and the block with the board's own counts.
    boards: str
    stats: str
    #: Lists of threads: rows; their link; the ones that only say where a thread has gone; times in them.
    rows: str
    link: str
    moved: str = ""
    pinned: str = ""
    row_times: str = _TIMES
    #: Bars of links to other pages of what a page shows.
    pager: str
    #: Threads: posts, their number in an attribute, and what belongs to each.
    posts: str
    post_id: re.Pattern[str] = _NUMBERED
    #: What leads to one post within its page.
    anchor: str
    body: str
    author: str
    when: str = _TIMES
    edited: str = ""
    deleted: str = ""
    files: str = ""
    avatar: str = ""
    #: Pages of members: the name.
    name_of: str = "h1"
    #: What a page that wants a login shows, and one that says with 200 that there is nothing.
    login: re.Pattern[str] = _NONE
    missing: re.Pattern[str] = _NONE


PHPBB = Engine(
    name="phpbb", title="phpBB",
    mark=_mark(r"<body[^>]{0,200}\bid=\"phpbb\"|Powered by\s*<a[^>]{0,200}phpbb\.com[^>]{0,100}>\s*phpBB"),
    board=_mark(r".*/viewforum\.php\?f=(?P<id>[0-9]{1,18})(?:&start=(?P<at>[0-9]{1,9}))?"),
    thread=_mark(r".*/viewtopic\.php\?(?:f=[0-9]{1,18}&)?t=(?P<id>[0-9]{1,18})(?:&start=(?P<at>[0-9]{1,9}))?"),
    member=_mark(r".*/memberlist\.php\?mode=viewprofile&u=(?P<id>[0-9]{1,18})"),
    file=_mark(r".*/download/file\.php\?id=(?P<id>[0-9]{1,18})(?:&mode=view)?"),
    members="memberlist.php", has_full_list=True,
    member_list=_mark(r".*/memberlist\.php(?:\?(?:mode=&)?start=(?P<at>[0-9]{1,9}))?"),
    first=0, anchor="p", boards="a.forumtitle, a.subforum", stats=".statistics, .stat-block",
    rows="ul.topics > li.row", link="a.topictitle", moved=".topic_moved, dl[class*=topic_moved]",
    pinned=".sticky, .announce, .global-announce", pager=".pagination", posts="div.post[id]", body=".content",
    author=".author a[class^=username], .author span[class^=username], .postprofile a[class^=username]",
    when=".author time[datetime], .author", edited="div.notice:not(.post_deleted_msg)",
    deleted=".post_deleted_msg", files="dl.file a[href], dl.thumbnail a[href], dl.file img[src], .inline-attachment a",
    avatar="img.avatar", name_of="dl.details dd span[class^=username], h2.memberlist-title",
    login=_mark(r"<form[^>]{0,500}\bid=\"login\""),
)  # fmt: skip
XENFORO = Engine(
    name="xenforo", title="XenForo", mark=_mark(r"<html[^>]{0,500}\bid=\"(?:XF|XenForo)\""),
    board=_mark(r".*[/?]forums/(?!-/)(?P<id>[^/?#]{1,200})/(?:page-(?P<at>[0-9]{1,9}))?"),
    thread=_mark(r".*[/?]threads/(?:[^/?#]{0,300}\.)?(?P<id>[0-9]{1,18})/(?:page-(?P<at>[0-9]{1,9}))?"),
    member=_mark(r".*[/?]members/(?:[^/?#]{0,300}\.)?(?P<id>[0-9]{1,18})/"),
    file=_mark(r".*[/?]attachments/(?:[^/?#]{0,300}\.)?(?P<id>[0-9]{1,18})/"),
    members="members/list/", member_list=_mark(r".*[/?]members/list/(?:[?&]page=(?P<at>[0-9]{1,9}))?"),
    anchor="post-", boards=".node-title a, .node-subNodeFlatList a, li.node .nodeTitle a",
    stats="[data-widget-definition=forum_statistics], #boardStats",
    rows="div.structItem--thread, li.discussionListItem", link=".structItem-title a, h3.title a",
    moved=".structItem-status--redirect, .structItem-status--moved, .redirect, .unreadLink.moved",
    pinned=".structItem-status--sticky, .sticky", pager=".pageNav, .PageNav",
    posts="article.message[id], li.message[id]", post_id=_mark(r"(?:js-)?post-([0-9]{1,18})"),
    body=".message-body .bbWrapper, .messageText",
    author=".message-name .username, .userText .username, .message-userDetails .username",
    when=".message-attribution-main time[datetime], .datePermalink .DateTime",
    edited=".message-lastEdit time[datetime], .editDate .DateTime",
    deleted=".messageNotice--deleted, .message-responseRow--deleted, .messageDeleted",
    files=".message-attachments a[href], .bbWrapper a[href], .attachedFiles a[href], .lbContainer[data-lb-trigger]",
    avatar=".message-avatar img, .avatarHolder img, .memberHeader-avatar img",
    name_of=".memberHeader-name, .mainProfileColumn .username",
    login=_mark(r"<html[^>]{0,1000}data-template=\"login\""),
)  # fmt: skip
VBULLETIN = Engine(
    name="vbulletin", title="vBulletin 3 or 4",
    mark=_mark(r"<meta\s[^>]{0,200}generator[^>]{0,50}content=\"vBulletin [1-4]\b"),
    board=_mark(
        r".*/(?:forumdisplay\.php[?/](?:f=)?|forums/)(?P<id>[0-9]{1,18})(?:-[^/?#&]{0,300})?(?:&order=desc)?"
        r"(?:(?:/page|&page=)(?P<at>[0-9]{1,9}))?/?"
    ),
    thread=_mark(
        r".*/(?:showthread\.php[?/](?:t=)?|threads/)(?P<id>[0-9]{1,18})(?:-[^/?#&]{0,300})?"
        r"(?:(?:/page|&page=)(?P<at>[0-9]{1,9}))?/?"
    ),
    member=_mark(r".*/(?:member\.php[?/](?:u=)?|members/)(?P<id>[0-9]{1,18})(?:-[^/?#&]{0,300})?/?"),
    file=_mark(r".*/attachment\.php\?attachmentid=(?P<id>[0-9]{1,18})(?:&(?!thumb|stc=1&thumb)[^#]{0,200})?"),
    members="memberlist.php", has_full_list=True,
    member_list=_mark(r".*/memberlist\.php(?:\?(?:[^#]{0,200}&)?page=(?P<at>[0-9]{1,9}))?"),
    anchor="post", boards="h2.forumtitle a, li.subforum a, td[id^=f] > div > a, a.forumtitle",
    stats="#wgo_stats, #collapseobj_forumhome_stats",
    rows="li.threadbit, tr:has(> td[id^=td_threadtitle_])", link="a.title, a[id^=thread_title_]",
    moved=".moved, [id^=thread_status_moved], img[src*=moved]", pinned=".sticky, img[src*=sticky]",
    row_times=".threadmeta .label, .threadlastpost dd, td[id^=td_threadtitle_] ~ td .smallfont",
    pager=".pagination, .pagenav", posts="li[id^=post_].postcontainer, table[id^=post]",
    body=".postcontent, [id^=post_message_]", author="a.username, a.bigusername, .username.guest",
    when=".postdate .date, td.thead", edited=".postbody .lastedited, .smallfont em", deleted=".postbitdeleted",
    files=".attachments a[href], fieldset a[href], [id^=post_message_] a[href]", avatar=".postuseravatar img",
    name_of="#userinfo .member_username, #username_box h1, h1",
    login=_mark(r"<!-- permission error message - user not logged in -->"),
    missing=_mark(r"<title>[^<]{0,200}vBulletin Message</title>"),
)  # fmt: skip
VBULLETIN5 = Engine(
    name="vbulletin", title="vBulletin 5 or 6",
    mark=_mark(r"<meta\s[^>]{0,200}generator[^>]{0,50}content=\"vBulletin (?:[5-9]|\d\d)\b"),
    board=_mark(r"(?!.*/[0-9]{1,18}-)(?P<id>/[^?#]{1,500}?)(?:/page(?P<at>[0-9]{1,9}))?"),
    thread=_mark(r"/[^?#]{1,500}/(?P<id>[0-9]{1,18})-[^/?#]{0,300}(?:/page(?P<at>[0-9]{1,9}))?"),
    member=_mark(r".*/member/(?P<id>[0-9]{1,18})-[^/?#]{0,300}"),
    file=_mark(r".*/filedata/fetch\?id=(?P<id>[0-9]{1,18})(?:&d=[0-9]{1,12})?"),
    anchor="post", boards="a.forum-title, a.subforum-title", stats=".b-module--statistics, .statistics-widget",
    rows="tr.topic-item", link="a.topic-title", moved=".topic-moved, .cell-topic .moved", pinned=".sticky",
    pager=".pagenav, .pagenav-container", posts="li.b-post[data-node-id]", post_id=_mark(r"([0-9]{1,18})"),
    body=".js-post__content-text", author=".b-userinfo a, .author a", when="time[itemprop=dateCreated]",
    edited=".b-post__edit-reason time", deleted=".b-post--deleted",
    files=".b-post__attachments a[href], .js-post__content-text a[href], .js-post__content-text img[src]",
    avatar=".b-userinfo__avatar img, .b-avatar img",
)  # fmt: skip
SMF = Engine(
    name="smf", title="Simple Machines Forum",
    mark=_mark(r"\bvar smf_theme_url\b|<a [^>]{0,200}simplemachines\.org[^>]{0,200}>\s*(?:SMF|Simple Machines)\b"),
    board=_mark(r".*/(?:index\.php)?[?/]board[=,](?P<id>[0-9]{1,18})\.(?P<at>[0-9]{1,9})(?:\.html)?"),
    thread=_mark(r".*/(?:index\.php)?[?/]topic[=,](?P<id>[0-9]{1,18})\.(?P<at>[0-9]{1,9})(?:\.html)?"),
    member=_mark(r".*/(?:index\.php)?\?action=profile;u=(?P<id>[0-9]{1,18})"),
    file=_mark(r".*[?;]action=dlattach;topic=[0-9]{1,18}\.[0-9]{1,9};attach=(?P<id>[0-9]{1,18})(?:;image)?"),
    members="index.php?action=mlist",
    member_list=_mark(r".*/index\.php\?action=mlist(?:;(?:sort=\w{1,40};)?start=(?P<at>[0-9]{1,9}))?"),
    first=0, anchor="msg", boards="a.subject[href], a[id^=b][href], .children a[href]",
    stats="#upshrinkHeaderIC, #upshrink_stats, .stats",
    rows="tr:has(span[id^=msg_]), div.windowbg:has(span[id^=msg_])", link="span[id^=msg_] a",
    moved=".main_icons.moved, img[src*=moved]", pinned=".sticky, .stickybg, .stickybg2",
    row_times="td.lastpost, div.lastpost", pager=".pagelinks, .pagesection",
    posts="div.post_wrapper", body="div.inner[id^=msg_], div.inner[data-msgid]",
    author=".poster h4 a", when=".keyinfo .smalltext, .keyinfo .postinfo", edited=".modified em, .modified .lastedit",
    files=".attachments a[href], [id^=msg_][id$=_footer] a[href]", avatar="img.avatar, .avatar img",
    name_of="#basicinfo h4, .username h4", login=_mark(r"<form[^>]{0,500}\bid=\"frmLogin\""),
    missing=_mark(r"<div[^>]{0,200}\bid=\"fatal_error\""),
)  # fmt: skip
INVISION = Engine(
    name="invision", title="Invision Community",
    mark=_mark(
        r"<body[^>]{0,500}class=['\"][^'\"]{0,500}\bipsApp\b|<a [^>]{0,300}>\s*Powered by Invision Community\s*<"
    ),
    board=_mark(r".*[/?]forum/(?P<id>[0-9]{1,18})-[^/?#]{0,300}/(?:(?:page/|\?page=)(?P<at>[0-9]{1,9})/?)?"),
    thread=_mark(r".*[/?]topic/(?P<id>[0-9]{1,18})-[^/?#]{0,300}/(?:(?:page/|\?page=)(?P<at>[0-9]{1,9})/?)?"),
    member=_mark(r".*[/?]profile/(?P<id>[0-9]{1,18})-[^/?#]{0,300}/"),
    file=_mark(r"(?P<id>.*/uploads/monthly_[0-9]{4}_[0-9]{2}/(?![^/?#]*\.thumb\.)[^/?#]{1,300}"
               r"|.*/interface/file/attachment\.php\?id=[0-9]{1,18}[^#]{0,200})"),
    anchor="comment-",
    boards="[data-forumid] .ipsDataItem_title a, .cForumGrid__title a, [data-forumid] h4 a, .ipsData__title a",
    stats="[data-blockid*=stats], .cStatistics", rows="li[data-rowid]", link=".ipsDataItem_title a, .ipsData__title a",
    moved=".ipsBadge--moved, [data-moved]", pinned=".ipsBadge_positive, .ipsBadge--pinned",
    pager=".ipsPagination, link[rel=next], link[rel=prev]", posts="[id^=elComment_]:not([id*=Wrap])",
    post_id=_mark(r"elComment_([0-9]{1,18})"), body="[data-role=commentContent]",
    author=".ipsComment_author .ipsType_break, .ipsEntry__username, .cAuthorPane_author",
    edited=".ipsComment_edited time, .ipsEdited time", deleted=".ipsComment_deleted",
    files="[data-role=commentContent] a.ipsAttachLink[href], [data-role=commentContent] a.ipsAttachLink_image[href]",
    avatar=".cAuthorPane_photo img, .ipsUserPhoto img",
)  # fmt: skip
PROBOARDS = Engine(
    name="proboards", title="ProBoards",
    mark=_mark(
        r"<(?:script|link)\s[^>]{0,300}\b(?:images|storage|static)\.proboards\.com/"
        r"|Hosted\s+For\s+FREE\s+By\s*<a\s[^>]{0,200}proboards\.com"
    ),
    board=_mark(r"/board/(?P<id>[0-9]{1,18})(?:/[^/?#]{0,300})?(?:\?page=(?P<at>[0-9]{1,9}))?"),
    thread=_mark(r"/thread/(?P<id>[0-9]{1,18})(?:/[^/?#]{0,300})?(?:\?page=(?P<at>[0-9]{1,9}))?"),
    member=_mark(r"/user/(?P<id>[0-9]{1,18})"), file=_mark(r"/attachment/(?P<id>[0-9]{1,18})(?:/[^?#]{0,300})?"),
    members="members", member_list=_mark(r"/members(?:\?page=(?P<at>[0-9]{1,9}))?"),
    anchor="post-", boards="tr[id^=board-] a, .sub-boards a", stats=".stats, #stats",
    rows="tr.thread.item, tr.item[id^=thread-]",
    link="a.thread-link", moved=".moved", pinned=".sticky, .announcement",
    pager=".ui-pagination, .pagination, li.next",
    posts="tr.post[id]", body="div.message", author="a.user-link",
    edited=".edited_by [data-timestamp]", files=".attachments a[href], div.message a[href]", avatar=".avatar img",
    name_of=".name_and_group .big_username, h1",
)  # fmt: skip
FLASKBB = Engine(
    name="flaskbb", title="FlaskBB", mark=_mark(r"powered by\s*<a[^>]{0,200}>\s*FlaskBB"),
    board=_mark(r".*/forum/(?P<id>[0-9]{1,18})(?:-[^/?#]{0,300})?(?:\?page=(?P<at>[0-9]{1,9}))?"),
    thread=_mark(r".*/topic/(?P<id>[0-9]{1,18})(?:-[^/?#]{0,300})?(?:\?page=(?P<at>[0-9]{1,9}))?"),
    member=_mark(r".*/user/(?P<id>[^/?#]{1,200})"),
    members="memberlist", member_list=_mark(r".*/memberlist(?:\?page=(?P<at>[0-9]{1,9}))?"),
    anchor="pid", boards=".forum-name a, .category-body a, table a", stats=".forum-stats, .stats",
    rows=".topic-row, .row.forum-row, tr:has(a[href*='/topic/'])", link=".topic-name a, a[href*='/topic/']",
    pager=".pagination", posts=".post-row[id]", body=".post-content", author=".author-name a",
    when=".post-meta a", edited=".post-meta small", avatar=".author-avatar img", name_of=".profile-groupname, h3, h1",
)  # fmt: skip
#: What speaks for a thing that is waiting for a moderator: it is not for strangers, even where one sees it.
UNAPPROVED = _mark(
    r"class=[\"'][^\"']{0,300}(?<![\w-])(?:unapproved|topic_unapproved|message--moderated|structItem--moderated|approvebg2?"
    r"|ipsModerated|moderatedpost)(?![\w-])"
)
_SESSION = re.compile(
    r"(?<=[?&;])(?:(?:sid|s)=[0-9a-f]{32}|PHPSESSID=[\w,%-]{8,128}|hi(?:ghlight|lit)=[^&;#]{0,500})(?:[&;]|$)",
    re.IGNORECASE,
)


def clean(url: str) -> str:
    """Return a URL without the session of whoever was shown it, and without words to be highlighted."""
    found = _SESSION.sub("", url)
    return found.rstrip("?&;") if found != url else url
