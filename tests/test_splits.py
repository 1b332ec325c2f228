from hypothesis import given
from hypothesis import strategies as st

from pagelabel.data.page import Page
from pagelabel.data.splits import sites_of, split_by_site


def make(sites: list[int]) -> list[Page]:
    return [Page(f"p{i}", ["a"], extra={"site": f"s{site}.example"}) for i, site in enumerate(sites)]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=80), st.floats(0.01, 0.9), st.integers(0, 5))
def test_a_site_is_never_on_both_sides_and_no_page_is_lost(sites: list[int], share: float, seed: int) -> None:
    pages = make(sites)
    rest, held = split_by_site(pages, share, seed)
    assert not {page.extra["site"] for page in rest} & {page.extra["site"] for page in held}
    assert sorted(page.id for page in rest + held) == sorted(page.id for page in pages)
    assert rest
    assert held or len(set(sites)) == 1


def test_the_share_is_about_what_was_asked() -> None:
    rest, held = split_by_site(make(list(range(2000))), 0.1, 1)
    assert 140 < len(held) < 260
    assert len(rest) + len(held) == 2000


@given(st.lists(st.integers(0, 400), max_size=60), st.integers(0, 5))
def test_new_pages_of_old_and_new_sites_move_no_page_to_the_other_side(new: list[int], seed: int) -> None:
    old = list(range(200))
    before = [{page.id for page in side} for side in split_by_site(make(old), 0.2, seed)]
    after = [{page.id for page in side} for side in split_by_site(make(old + new), 0.2, seed)]
    assert before[0] <= after[0]
    assert before[1] <= after[1]


def test_another_seed_holds_out_other_sites() -> None:
    pages = make(list(range(200)))
    assert split_by_site(pages, 0.2, 1)[1] != split_by_site(pages, 0.2, 2)[1]


def test_one_of_two_sites_is_held_out_however_small_the_share() -> None:
    rest, held = split_by_site(make([1, 2, 1, 2]), 0.0, 1)
    assert len(rest) == len(held) == 2


def test_one_of_two_sites_is_left_however_large_the_share() -> None:
    for seed in range(20):
        rest, held = split_by_site(make([1, 2, 1, 2]), 0.999, seed)
        assert len(rest) == len(held) == 2
        assert split_by_site(make([1, 1]), 0.999, seed)[1] == []


def test_no_pages_are_no_split() -> None:
    assert split_by_site([], 0.2, 1) == ([], [])


def test_views_stay_with_their_page() -> None:
    whole = [Page(f"p{i}", ["a"]) for i in range(50)]
    views = [Page(f"v{i}", ["a"], extra={"page": f"p{i}", "view": "x"}) for i in range(50)]
    for side in split_by_site(whole + views, 0.3, 1):
        ids = {page.id for page in side}
        assert {name[1:] for name in ids if name[0] == "p"} == {name[1:] for name in ids if name[0] == "v"}


def test_a_page_and_its_views_stay_together_where_only_one_of_them_names_its_site() -> None:
    pages = []
    for i in range(40):
        pages += [
            Page(f"v{i}", ["a"], extra={"page": f"p{i}", "view": "x"}),
            Page(f"p{i}", ["a"], f"https://s{i}.example"),
        ]
        pages.append(Page(f"w{i}", ["a"], f"http://www.s{i}.example/b"))
    for side in split_by_site(pages, 0.4, 1):
        numbers = [page.id[1:] for page in side]
        assert all(numbers.count(number) == 3 for number in numbers)


def test_a_site_is_the_field_or_the_host_or_the_page() -> None:
    pages = [
        Page("a", [], "https://www.x.example/1", extra={"site": "y.example"}),
        Page("b", [], "https://www.x.example/1"),
        Page("c", [], None, extra={"page": "whole", "view": "v"}),
        Page("d", []),
        Page("e", [], "http://[broken"),
        Page("f", [], "https://www.x.example/2", extra={"page": "g", "view": "v"}),
        Page("g", [], extra={"site": "www.z.example"}),
    ]
    assert sites_of(pages) == ["y.example", "x.example", "whole", "d", "e", "z.example", "z.example"]
