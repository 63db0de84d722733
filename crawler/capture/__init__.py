"""Exact capture of HTTP exchanges: framing, connections, TLS, proxies, spool."""
