"""Measures by name: every other file here is one; see protocol.py."""
