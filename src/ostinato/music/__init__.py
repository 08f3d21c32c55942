"""Music as plain data: pieces, reading and writing, normalization, the corpus store. No torch."""
