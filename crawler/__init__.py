"""Outlast's engine: capture, WARC, frontier, politeness, coverage and the processes that join them."""
