"""Ensembles: a generator for each role, and a coordinator that gives them context."""
