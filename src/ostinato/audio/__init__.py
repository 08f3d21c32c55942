"""Pieces as sound and as pictures."""
