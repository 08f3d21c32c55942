"""Layers that several paradigms share."""
