"""Scrapy settings of a worker: constants and component paths; no logic.

Everything Scrapy would do between a spider and the wire (retries, redirects, cookies, compression, robots) belongs
to the capture layer here, because an archive must record it; so the default middlewares are off.
"""

BOT_NAME = "outlast"
SPIDER_MODULES = ["spiders"]

TWISTED_REACTOR_ENABLED = False
ASYNCIO_EVENT_LOOP = "uvloop.Loop"

SCHEDULER = "crawler.frontier.scheduler.FrontierScheduler"
DUPEFILTER_CLASS = "scrapy.dupefilters.BaseDupeFilter"
DOWNLOAD_HANDLERS_BASE: dict[str, str] = {}
DOWNLOAD_HANDLERS: dict[str, str | None] = {
    # What the base does not name, Scrapy fills in again and imports.
    "http": None,
    "https": None,
    "capture": "crawler.capture.handler.CaptureHandler",
}
DOWNLOADER_MIDDLEWARES_BASE: dict[str, int] = {}
SPIDER_MIDDLEWARES_BASE: dict[str, int] = {}
SPIDER_MIDDLEWARES = {"crawler.commit.CommitMiddleware": 0}
EXTENSIONS_BASE: dict[str, int] = {}
ITEM_PIPELINES_BASE: dict[str, int] = {}
STATS_CLASS = "scrapy.statscollectors.DummyStatsCollector"
STATS_DUMP = False

# Pace and concurrency belong to crawler/politeness; Scrapy must never be the narrower gate.
CONCURRENT_REQUESTS = 1024
CONCURRENT_REQUESTS_PER_DOMAIN = 1024
DOWNLOAD_DELAY = 0
# 100, the default, starts 101 asyncio tasks for every response.
CONCURRENT_ITEMS = 1

TELNETCONSOLE_ENABLED = False
REMOTE_CONTROL_ENABLED = False
LOG_ENABLED = False
