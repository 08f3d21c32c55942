"""Samples every cell by itself."""
