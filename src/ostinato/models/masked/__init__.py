"""Families that fill hidden cells, given any others (absorbing-state diffusion)."""
