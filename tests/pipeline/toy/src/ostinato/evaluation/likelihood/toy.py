"""The nats of the frequencies; called a bound, to see that it is shown as one."""


class Scorer:
    """Scores pieces with one model."""

    kind = "bound"

    def __init__(self, model):
        self.model = model

    def score(self, batch_BTW, given=None):
        """Nats of every sub-token."""
        return self.model.nats(batch_BTW)

    def predict(self, batch_BTW, given=None):
        """As `score`; nothing is predicted."""
        return self.score(batch_BTW, given), None
