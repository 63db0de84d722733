"""Copies elsewhere: which there are to be, how they get there, and what proves that they are whole."""
