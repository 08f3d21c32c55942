"""Pieces as plain data, functions of them, and MIDI files."""
