"""Families that know no past."""
