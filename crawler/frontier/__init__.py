"""The durable frontier: every known fetch and where it stands."""
