"""Pieces to arrays and back. Every representation keeps one protocol (see `protocol`). No torch."""
