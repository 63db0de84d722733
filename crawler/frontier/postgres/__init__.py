"""The frontier in PostgreSQL, for a fleet: any number of machines, each with a writer, on one crawl."""
