"""Label every paragraph of a web page: article body, quote, promo, teaser or donation appeal.

from pagelabel import Labeler
page = Labeler.load().label(["Mayor resigns", "The mayor …", "Support our newsroom. Donate."])
page.labels, page.scores, page.text()
"""

from typing import TYPE_CHECKING, Any

from pagelabel.data.page import Page, PageError
from pagelabel.labeler import Labeler
from pagelabel.model.bundle import BundleError
from pagelabel.model.labels import LABELS

if TYPE_CHECKING:
    from pagelabel.data.readers import read_pages

__all__ = ["LABELS", "BundleError", "Labeler", "Page", "PageError", "read_pages"]


def __getattr__(name: str) -> Any:
    """Readers take a fifth of the time that an import takes, and nobody who labels lists of paragraphs needs them."""
    if name != "read_pages":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pagelabel.data.readers import read_pages

    return read_pages
