"""Sampling with a generator."""
