"""The live page: what a crawl does and holds, in a browser, as metrics, and with controls."""
