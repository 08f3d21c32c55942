"""Families that predict the next sub-token."""
