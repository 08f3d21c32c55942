"""Statistics of listening tests; one file for each family, and one that puts them together."""
