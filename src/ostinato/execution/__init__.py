"""How work is carried out: safe files, hashes, workers, the lock of a rebuild. Knows nothing of
music.
"""
