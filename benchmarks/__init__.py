"""Speed beside other implementations of the same model. Run with `make bench`."""
