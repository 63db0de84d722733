"""Reading what was saved: rows of a segment, the dataset made of them, and what it is exported as."""
