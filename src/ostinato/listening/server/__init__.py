"""The pages of a listening test: what a browser sees, and what it may send."""
