"""What the platform has against what we hold."""
