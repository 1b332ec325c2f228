import pytest

from pagelabel.data.page import Page
from pagelabel.model.about import about_texts, check_about


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("https://www.example.com/a", "example.com/a"),
        ("HTTP://example.com/", "example.com/"),
        (" example.com/a?b=http://c", "example.com/a?b=http://c"),
        ("wwwidgets.com", "wwwidgets.com"),
        ("", ""),
        (None, ""),
    ],
)
def test_an_address_is_read_without_scheme_and_www(url: str | None, read: str) -> None:
    assert about_texts(Page("p", [], url), ["url"]) == [read]


@pytest.mark.parametrize(("title", "read"), [(" The bridge\n", "The bridge"), (None, ""), (7, ""), (["x"], "")])
def test_a_title_is_read_where_it_is_a_string(title: object, read: str) -> None:
    assert about_texts(Page("p", [], "a.b", extra={"title": title}), ["title", "url"]) == [read, "a.b"]


def test_names_are_known_and_in_order() -> None:
    for names in ([], ["title"], ["url"], ["title", "url"]):
        check_about(names)
    for names in (["url", "title"], ["title", "title"], ["date"]):
        with pytest.raises(ValueError, match="about should be"):
            check_about(names)
