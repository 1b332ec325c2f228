"""Label every paragraph of a web page: article body, quote, promo, teaser or donation appeal.

from pagelabel import Labeler
page = Labeler.load().label(["Mayor resigns", "The mayor …", "Support our newsroom. Donate."])
page.labels, page.scores, page.text()
"""

from pagelabel.data.page import Page, PageError
from pagelabel.data.readers import read_pages
from pagelabel.labeler import Labeler
from pagelabel.model.bundle import BundleError
from pagelabel.model.labels import LABELS

__all__ = ["LABELS", "BundleError", "Labeler", "Page", "PageError", "read_pages"]
