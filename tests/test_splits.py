from hypothesis import given
from hypothesis import strategies as st

from pagelabel.data.page import Page
from pagelabel.data.splits import site_of, split_by_site


def make(sites: list[int]) -> list[Page]:
    return [Page(f"p{i}", ["a"], extra={"site": f"s{site}.example"}) for i, site in enumerate(sites)]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=80), st.floats(0.01, 0.9), st.integers(0, 5))
def test_a_site_is_never_on_both_sides_and_no_page_is_lost(sites: list[int], share: float, seed: int) -> None:
    pages = make(sites)
    rest, held = split_by_site(pages, share, seed)
    assert not {site_of(page) for page in rest} & {site_of(page) for page in held}
    assert sorted(page.id for page in rest + held) == sorted(page.id for page in pages)
    assert held or len(set(sites)) == 1


def test_the_share_is_about_what_was_asked() -> None:
    rest, held = split_by_site(make(list(range(2000))), 0.1, 1)
    assert 140 < len(held) < 260
    assert len(rest) + len(held) == 2000


def test_a_new_site_moves_no_page_to_the_other_side() -> None:
    before = {page.id for page in split_by_site(make(list(range(200))), 0.2, 1)[1]}
    after = {page.id for page in split_by_site(make(list(range(260))), 0.2, 1)[1]}
    assert before <= after


def test_a_site_is_the_field_or_the_host_or_the_page() -> None:
    assert site_of(Page("a", [], "https://www.x.example/1", extra={"site": "x.example"})) == "x.example"
    assert site_of(Page("a", [], "https://www.x.example/1")) == "www.x.example"
    assert site_of(Page("a", [], None, extra={"page": "whole"})) == "whole"
    assert site_of(Page("a", [])) == "a"
