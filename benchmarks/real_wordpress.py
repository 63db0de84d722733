"""Bring up Debian's WordPress on loopback, fill it, crawl it, and print what is held of what was put in.

python benchmarks/real_wordpress.py [--size 160] [--keep]

Needs root on a Debian: installs wordpress, mariadb-server, apache2 and PHP where they are not there, without starting
their services, and runs its own copies of all of them in a directory of its own, which goes at the end. Exits 0 when
all that is public is held, each upload with the bytes that were uploaded, and nothing that is private.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.acceptance.platforms import held, items
from tests.acceptance.support import archive

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = (
    "wordpress", "wordpress-theme-twentytwentythree", "mariadb-server", "apache2", "libapache2-mod-php", "php-gd",
    "php-mysql", "php-xml",
)  # fmt: skip
#: Started by Debian's packages where this says they may be.
POLICY = Path("/usr/sbin/policy-rc.d")
MODULES = ("mpm_prefork", "authz_core", "dir", "mime", "setenvif")
#: A part of the time of the posts, which are ten hours apart from the beginning of 2020 on.
WINDOW = ("--since", "2020-01-06T04:00:00Z", "--until", "2020-01-11T00:00:00Z")
#: Types that a site makes for itself: one that the API shows, and one that it does not.
PLUGIN = """<?php
add_action('init', function () {
    register_post_type('book', ['public' => true, 'label' => 'Books', 'show_in_rest' => true, 'rest_base' => 'books']);
    register_post_type('zine', ['public' => true, 'label' => 'Zines', 'show_in_rest' => false]);
});
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--size", type=int, default=160, help="posts, pages and books")
    parser.add_argument("--keep", action="store_true", help="leave the directory")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what runs is ended then, too
    install()
    work = Path(tempfile.mkdtemp(prefix="outlast-wordpress-"))
    work.chmod(0o755)
    try:
        with ExitStack() as stack:
            stack.enter_context(database(work))
            port = free_port()
            truth = site(work, port, given.size)
            stack.enter_context(server(work, port))
            started = time.monotonic()
            ran = archive("crawl", f"127.0.0.1:{port}", "--into", work / "c", timeout=900)
            print(f"crawled in {time.monotonic() - started:.1f} s, exit {ran.code}")
            asked = sum(1 for _ in (work / "access.log").open())
            print(f"requests of the whole crawl as the server counted them: {asked}")
            windowed = archive("crawl", f"127.0.0.1:{port}", "--into", work / "w", *WINDOW, timeout=900)
        print((ran.err if ran.code else "") + (windowed.err if windowed.code else ""), end="")
        is_whole = compare(work / "c", truth)
        is_exact = within(work / "w", truth)
        return 0 if is_whole and is_exact and not ran.code and not windowed.code else 1
    finally:
        if given.keep:
            print(f"left in {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)


def install() -> None:
    """Install what is missing, and keep the packages from starting anything."""
    asked = ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n", *PACKAGES]
    told = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    missing = [name for name in PACKAGES if f"installed {name}" not in told.splitlines()]
    if not missing:
        return
    is_ours = not POLICY.exists()
    if is_ours:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-q"], check=True, env=quiet, stdout=subprocess.DEVNULL)
        command = [
            "apt-get",
            "-o",
            "DPkg::Lock::Timeout=300",
            "install",
            "-q",
            "-y",
            "--no-install-recommends",
            *missing,
        ]
        subprocess.run(command, check=True, env=quiet, stdout=subprocess.DEVNULL)
    finally:
        if is_ours:
            POLICY.unlink()


@contextmanager
def database(work: Path) -> Iterator[None]:
    """Run a MariaDB of our own, on a socket in the directory alone."""
    data, place = work / "db", work / "db.sock"
    made = ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--user=root", "--skip-test-db"]
    made += ["--auth-root-authentication-method=normal"]
    subprocess.run(made, check=True, stdout=subprocess.DEVNULL)
    command = ["mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={place}", "--skip-networking"]
    command += ["--user=root", f"--pid-file={work / 'db.pid'}", f"--log-error={work / 'db.log'}"]
    with running(command, place.exists):
        subprocess.run(
            ["mariadb", "--no-defaults", f"--socket={place}", "-uroot", "-e", "CREATE DATABASE wordpress"], check=True
        )
        yield


def site(work: Path, port: int, size: int) -> dict[str, Any]:
    """Lay out the site and fill it; return what was put in."""
    root = work / "www"
    shutil.copytree("/usr/share/wordpress", root, ignore=shutil.ignore_patterns("wp-config.php", ".htaccess"))
    themes = Path("/var/lib/wordpress/wp-content/themes")
    shutil.copytree(themes, root / "wp-content/themes", dirs_exist_ok=True)
    (root / "wp-content/mu-plugins").mkdir()
    (root / "wp-content/mu-plugins/types.php").write_text(PLUGIN)
    url = f"http://127.0.0.1:{port}"
    names = {
        "DB_NAME": "wordpress", "DB_USER": "root", "DB_PASSWORD": "", "DB_HOST": f"localhost:{work / 'db.sock'}",
        "DB_CHARSET": "utf8mb4", "DB_COLLATE": "", "WP_HOME": url, "WP_SITEURL": url,
        "WP_DEFAULT_THEME": "twentytwentythree",
    }  # fmt: skip
    lines = [f"define({name!r}, {value!r});" for name, value in names.items()]
    lines += ["define('WP_HTTP_BLOCK_EXTERNAL', true);", "define('DISABLE_WP_CRON', true);", "$table_prefix = 'wp_';"]
    lines += ["if (!defined('ABSPATH')) define('ABSPATH', __DIR__ . '/');", "require_once ABSPATH . 'wp-settings.php';"]
    (root / "wp-config.php").write_text("<?php\n" + "\n".join(lines) + "\n")
    script = ["php", "-d", "memory_limit=512M", str(Path(__file__).with_suffix(".php")), str(root)]
    told = ""
    for command in ([*script, str(size)], script):
        ran = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "WP_URL": url})
        told = ran.stdout
        if ran.returncode:
            raise RuntimeError(f"the site could not be filled: {told[:2000]}{ran.stderr[:2000]}")
    truth: dict[str, Any] = json.loads(told)
    return truth


@contextmanager
def server(work: Path, port: int) -> Iterator[None]:
    """Run an Apache of our own, on loopback alone."""
    modules = Path("/usr/lib/apache2/modules")
    php = next(iter(sorted(modules.glob("libphp*.so"))))
    lines = [f"LoadModule {name}_module {modules}/mod_{name}.so" for name in MODULES]
    lines += [
        f"LoadModule php_module {php}", f"Listen 127.0.0.1:{port}", "ServerName 127.0.0.1", f"ServerRoot {work}",
        f"PidFile {work}/apache.pid", f"ErrorLog {work}/error.log", 'LogFormat "%r %>s" short',
        f"CustomLog {work}/access.log short", f"DocumentRoot {work}/www", "User www-data", "Group www-data",
        f"DefaultRuntimeDir {work}", f"Mutex file:{work}", "TypesConfig /etc/mime.types", "KeepAlive On",
        "StartServers 2", "MaxRequestWorkers 12", "DirectoryIndex index.php", "FallbackResource /index.php",
        '<FilesMatch "\\.php$">', "SetHandler application/x-httpd-php", "</FilesMatch>",
        f"<Directory {work}/www>", "Require all granted", "</Directory>",
    ]  # fmt: skip
    (work / "apache.conf").write_text("\n".join(lines) + "\n")

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readme.html", timeout=5):
                return True
        except OSError:
            return False

    with running(["apache2", "-f", str(work / "apache.conf"), "-DFOREGROUND"], answers):
        (work / "access.log").write_text("")
        yield


@contextmanager
def running(command: list[str], is_up: Any, patience: float = 60) -> Iterator[None]:
    """Run a server until the block ends, from when it is up."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        until = time.monotonic() + patience
        while not is_up():
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{command[0]} does not run")
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def free_port() -> int:
    """Return a port of loopback that nobody has."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class Table:
    """What is held of what was put in, kind by kind."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {}
        self.missed: list[str] = []
        self.private = 0

    def count(self, kind: str, what: str, *, is_held: bool, public: bool = True) -> None:
        """Enter a thing; one that is not public must not be held."""
        if not public:
            self.private += is_held
            return
        self.counts.setdefault(kind, Counter()).update(["public", "held"] if is_held else ["public"])
        if not is_held:
            self.missed.append(f"{kind}: {what}")


def compare(directory: Path, truth: dict[str, Any]) -> bool:
    """Print a table of what is held of what was put in; say whether it is all there is, and nothing private."""
    said, table = items(directory), Table()
    files, table.private = held(directory)
    for post in truth["posts"]:
        is_public, is_said = post["status"] == "publish", ("Post", str(post["id"])) in said
        is_held = is_said and (place(post["url"]) in files or not is_public)
        table.count(post["type"], post["url"], is_held=is_held, public=is_public)
    for comment in truth["comments"]:
        name = f"comment-{comment['id']}"
        table.count("comment", name, is_held=("Post", name) in said, public=comment["public"])
    for media in truth["media"]:
        is_same = media["sha256"] in files.get(place(media["url"]), set())
        table.count("upload, byte for byte", media["url"], is_held=is_same, public=media["public"])
        shown, page = media["shown"], media["page"]
        table.count("upload as shown", shown, is_held=place(shown) in files, public=media["public"])
        if media["listed"]:
            table.count("page of an upload", page, is_held=place(page) in files, public=media["public"])
    for user in truth["users"]:
        is_held = ("Account", str(user["id"])) in said and place(user["url"]) in files
        table.count("account", user["url"], is_held=is_held)
    for url in truth["pages"]:
        table.count("front page, archives", url, is_held=place(url) in files)
    for kind, found in table.counts.items():
        print(f"{kind:24} {found['held']:5} of {found['public']}")
    print(f"{'private, anywhere':24} {table.private:5} of 0")
    print("".join(f"  missing {one}\n" for one in table.missed[:20]), end="")
    is_whole = archive("verify", directory).code == 0
    print(f"verify: {'whole' if is_whole else 'damaged'}")
    return is_whole and not table.missed and not table.private


def within(directory: Path, truth: dict[str, Any]) -> bool:
    """Say whether a crawl of a window has the posts of that window, and asked for the pages of no others."""
    since, until = (datetime.fromisoformat(WINDOW[at]) for at in (1, 3))
    files, private = held(directory)
    shown = [post for post in truth["posts"] if post["status"] == "publish" and post["type"] != "zine"]
    inside = {place(post["url"]) for post in shown if since <= datetime.fromisoformat(post["at"]) < until}
    got = {place(post["url"]) for post in shown} & files.keys()
    print(f"{'of a window':24} {len(got & inside):5} of {len(inside)}; {len(got - inside)} from outside of it")
    return got == inside and not private


def place(url: str) -> str:
    """Return path and query of a URL."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


if __name__ == "__main__":
    sys.exit(main())
