"""Renders pieces to sound and to piano-roll pictures."""
