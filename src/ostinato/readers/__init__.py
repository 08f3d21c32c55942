"""One reader per kind of music file; `ostinato.readers.read` chooses among them."""
