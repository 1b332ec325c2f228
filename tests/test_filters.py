import pytest

from pagelabel.data.page import Page
from pagelabel.filters import UNSURE, keep_labels, mark_unsure

PAGE = Page("p", ["One", "Two", "Three"], None, ["body", "promo", "quote"], [0.9, 0.5, 0.7], {"n": 1})


def test_kept_paragraphs_stay_with_their_labels_and_scores() -> None:
    kept = keep_labels(PAGE, ("body", "quote"))
    expected = Page("p", ["One", "Three"], None, ["body", "quote"], [0.9, 0.7], {"n": 1, "dropped": 1})
    assert kept == expected


def test_the_text_of_the_record_follows() -> None:
    page = Page("p", ["One", "Two"], None, ["body", "promo"], [0.9, 0.5], {"text": "One\nTwo"}, "text")
    assert keep_labels(page, ("body",)).extra == {"text": "One", "dropped": 1}


def test_links_follow_where_they_are_known() -> None:
    page = Page("p", ["One", "Two", "Three"], None, ["promo", "body", "quote"], None, {"link": [100, 7, 0]})
    assert keep_labels(page, ("body", "quote")).extra == {"link": [7, 0], "dropped": 1}
    page.extra["link"] = "https://example.org"
    assert keep_labels(page, ("body",)).extra["link"] == "https://example.org"


def test_what_is_not_sure_can_be_kept() -> None:
    page = keep_labels(mark_unsure(PAGE, 0.6), ("body", UNSURE))
    assert page.labels == ["body", UNSURE]


def test_a_page_without_labels_is_refused() -> None:
    with pytest.raises(ValueError, match="label it first"):
        keep_labels(Page("p", ["One"]), ("body",))


def test_what_several_filters_dropped_adds_up() -> None:
    kept = keep_labels(keep_labels(PAGE, ("body", "promo")), ("body",))
    assert kept.extra == {"n": 1, "dropped": 2}


@pytest.mark.parametrize("own", ["yes", True, -1, 2.5, None, [1]])
def test_a_field_of_that_name_that_is_no_count_is_replaced(own: object) -> None:
    page = Page("p", ["One", "Two"], None, ["body", "promo"], None, {"dropped": own})
    assert keep_labels(page, ("body",)).extra == {"dropped": 1}
