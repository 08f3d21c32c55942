"""Families that learn by a game of a generator against a critic."""
