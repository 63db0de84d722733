"""Parler as strangers saw it in January 2021: same hosts, same pages, same shapes; invented people and words."""
