"""WARC files: records, segments, sealing, index, reading and verification."""
