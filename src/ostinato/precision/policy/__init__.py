"""A tuned model is of its base's family: its steps are that family's."""
