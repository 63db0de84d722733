"""How fast a host may be asked, and what it asks us not to read."""
