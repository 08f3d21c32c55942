"""Samples by filling hidden cells in any order."""
