"""Nothing is shared beside what is borrowed: see borrowed.json."""
