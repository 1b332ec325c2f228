"""The five labels, in the order of the logits."""

LABELS = ("body", "quote", "promo", "teaser", "donation")
