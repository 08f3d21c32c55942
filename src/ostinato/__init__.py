"""Ostinato: a reproducible laboratory for music generation with deep networks."""
