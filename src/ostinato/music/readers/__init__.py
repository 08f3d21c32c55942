"""One reader per kind of music file; `ostinato.music.read` chooses among them."""
