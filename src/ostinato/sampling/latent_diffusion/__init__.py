"""Samples the vectors of whole pieces from noise, and decodes them beat by beat."""
