"""The mathematics of spectrograms."""
