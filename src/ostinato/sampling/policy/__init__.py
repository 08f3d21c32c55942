"""Sampling of tuned models."""
