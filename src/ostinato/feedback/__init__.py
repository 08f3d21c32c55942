"""Preferences about a base system's clips, reward models of them, and guards of what learns."""
