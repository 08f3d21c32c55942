"""Masked diffusion over streams of events."""
