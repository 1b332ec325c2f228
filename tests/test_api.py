import pagelabel


def test_the_public_names_are_these() -> None:
    assert pagelabel.__all__ == ["LABELS", "BundleError", "Labeler", "Page", "PageError", "read_pages"]
    assert all(hasattr(pagelabel, name) for name in pagelabel.__all__)


def test_the_labels_and_their_order_are_fixed() -> None:
    assert pagelabel.LABELS == ("body", "quote", "promo", "teaser", "donation")
