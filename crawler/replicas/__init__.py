"""Loopback doubles of platforms, for `archive demo` and the tests. They import nothing of ours."""
