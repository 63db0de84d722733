"""Volunteers: machines without credentials that crawl for a coordinator, which fronts the database and the uploads."""
