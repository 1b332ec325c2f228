import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from pagelabel.data.page import Page
from pagelabel.model.encoding import Encoder, EncodingConfig
from pagelabel.model.features import FEATURE_NAMES, LINK_FEATURES, page_features


@pytest.fixture(scope="module")
def encoder(tiny_base: Path) -> Encoder:
    tokenizer = Tokenizer.from_file(str(tiny_base / "tokenizer.json"))
    special = {"cls_id": "[CLS]", "sep_id": "[SEP]", "mask_id": "[MASK]", "marker_id": "[unused0]"}
    ids = {name: tokenizer.token_to_id(token) for name, token in special.items()}
    return Encoder(tokenizer, EncodingConfig(window_tokens=64, context_tokens=16, head_tokens=6, tail_tokens=3, **ids))


texts = st.lists(st.text(max_size=60), max_size=30)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts)
def test_every_paragraph_is_read_once_in_order(encoder: Encoder, paragraphs: list[str]) -> None:
    read = []
    for window in encoder.windows(Page("p", paragraphs)):
        assert len(window.ids) <= encoder.config.window_tokens
        assert (window.ids[window.markers] == encoder.config.marker_id).all()
        assert len(window.core_markers) == window.stop - window.start
        read += range(window.start, window.stop)
    assert read == list(range(len(paragraphs)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(1, 10), st.booleans()), max_size=120))
def test_what_is_wanted_is_read_once_with_its_context(encoder: Encoder, page: list[tuple[int, bool]]) -> None:
    sizes, wanted = [size for size, _ in page], np.array([some for _, some in page], dtype=bool)
    read: list[int] = []
    for first, start, stop, end in encoder.spans(sizes, 0, wanted):
        assert first <= start < stop <= end <= len(sizes)
        assert 2 + sum(sizes[first:end]) <= encoder.config.window_tokens
        read += range(start, stop)
    assert read == sorted(set(read))
    assert set(np.flatnonzero(wanted)) <= set(read)
    everything = list(encoder.spans(sizes, 0))
    assert list(encoder.spans(sizes, 0, np.ones(len(sizes), dtype=bool))) == everything
    if wanted.all():
        assert read == list(range(len(sizes)))


def test_windows_are_laid_around_what_is_wanted(encoder: Encoder) -> None:
    sizes, wanted = [4] * 100, np.zeros(100, dtype=bool)
    wanted[[10, 17, 50, 99]] = True
    # Contexts of 16 tokens are four paragraphs: those of 10 and 17 touch. A window has room for 15.
    assert list(encoder.spans(sizes, 0, wanted)) == [(6, 10, 18, 21), (46, 50, 51, 55), (95, 99, 100, 100)]
    assert list(encoder.spans(sizes, 0, np.zeros(100, dtype=bool))) == []


def test_windows_have_context_on_both_sides(encoder: Encoder) -> None:
    paragraphs = [f"paragraph number {i}" for i in range(40)]
    windows = list(encoder.windows(Page("p", paragraphs)))
    assert len(windows) > 2
    for window in windows[1:-1]:
        assert window.first < window.start
        assert window.first + len(window.markers) > window.stop


def test_title_and_address_stand_at_the_head_of_every_window(encoder: Encoder) -> None:
    reader = Encoder(encoder._tokenizer, replace(encoder.config, window_tokens=96, about=("title", "url")))
    plain = Encoder(encoder._tokenizer, replace(encoder.config, window_tokens=96))
    paragraphs = [f"paragraph number {i}" for i in range(40)]
    page = Page("p", paragraphs, "https://www.example.com/news", extra={"title": "The council " * 20})
    title, url = reader.tokenize(["The council " * 20, "example.com/news"])
    head = [*title, reader.config.sep_id, *url, reader.config.sep_id]
    windows = list(reader.windows(page))
    assert len(windows) > 2
    for window in windows:
        assert window.ids[1 : 1 + len(head)].tolist() == head
        assert window.markers[0] == 1 + len(head)
        assert len(window.ids) <= 96
    assert sum(window.stop - window.start for window in windows) == 40
    assert reader.head(reader.about(Page("p", [], "example.com/news"))) == head[-1 - len(url) :]
    for unknown in (Page("p", paragraphs), Page("p", paragraphs, "", extra={"title": 7})):
        mine, theirs = reader.windows(unknown), plain.windows(page)
        assert [window.ids.tolist() for window in mine] == [window.ids.tolist() for window in theirs]


def test_links_are_read_where_they_are_known(encoder: Encoder) -> None:
    reader = Encoder(encoder._tokenizer, replace(encoder.config, features=FEATURE_NAMES + LINK_FEATURES))
    paragraphs = [f"paragraph number {i}" for i in range(40)]
    page = Page("p", paragraphs, extra={"link": [i % 3 * 50 for i in range(40)]})
    found = np.concatenate([w.features[w.core_markers] for w in reader.windows(page)])
    assert np.array_equal(found[:, :-2], page_features(paragraphs))
    assert found[:, -2:].tolist() == [[i % 3 / 2, 1] for i in range(40)]
    unknown = list(reader.windows(Page("p", paragraphs)))
    assert not any(w.features[:, -2:].any() for w in unknown)
    assert all(w.features.shape[1] == len(FEATURE_NAMES) for w in encoder.windows(page))
    with pytest.raises(ValueError, match="this version computes"):
        replace(encoder.config, features=("one", "two"))


def test_settings_without_about_are_those_of_older_bundles() -> None:
    old = {name: value for name, value in EncodingConfig().to_dict().items() if name != "about"}
    assert EncodingConfig.from_dict(old) == EncodingConfig()
    full = replace(EncodingConfig(), about=("title", "url"))
    assert EncodingConfig.from_dict(json.loads(json.dumps(full.to_dict()))) == full
    with pytest.raises(ValueError, match="about should be some of"):
        EncodingConfig(about=("url", "title"))
    with pytest.raises(ValueError, match="behind a head of 42"):
        EncodingConfig(window_tokens=200, about=("title", "url"))


def test_features_stand_at_the_markers_only(encoder: Encoder) -> None:
    paragraphs = ["The mayor resigned.", "Donate"]
    (window,) = encoder.windows(Page("p", paragraphs))
    assert np.array_equal(window.features[window.markers], page_features(paragraphs))
    others = np.delete(window.features, window.markers, axis=0)
    assert not others.any()


def test_a_long_paragraph_keeps_its_head_and_tail(encoder: Encoder) -> None:
    long = "council " + "bridge " * 5000 + "mayor"
    head, tail = encoder.tokenize(["council", "mayor"])
    (cut,) = encoder.tokenize([long])
    assert len(cut) == encoder.config.head_tokens + encoder.config.tail_tokens
    assert cut[: len(head)] == head
    assert cut[-len(tail) :] == tail


def test_ten_megabytes_without_a_space(encoder: Encoder) -> None:
    (cut,) = encoder.tokenize(["x" * 10_000_000])
    assert len(cut) <= encoder.config.head_tokens + encoder.config.tail_tokens


def test_lone_surrogates_and_nuls_are_encoded(encoder: Encoder) -> None:
    pieces = encoder.tokenize(["a\ud800b", "\0", "", "bridge\0"])
    assert len(pieces) == 4
    assert pieces[1] == pieces[2] == []


def test_the_same_text_gives_the_same_ids_whatever_stands_beside_it(encoder: Encoder) -> None:
    alone = encoder.tokenize(["Donate to our newsroom"])[0]
    assert encoder.tokenize(["Menu", "Donate to our newsroom", "x" * 500, "Donate to our newsroom"])[1::2] == [
        alone,
        alone,
    ]


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="leaves no room"):
        EncodingConfig(window_tokens=100, context_tokens=45)
    with pytest.raises(ValueError, match="head_tokens"):
        EncodingConfig(head_tokens=0)
    with pytest.raises(ValueError, match="features"):
        EncodingConfig(features=("one",))
    with pytest.raises(ValueError, match="encoding settings"):
        EncodingConfig.from_dict({"window_tokens": 384})
    assert EncodingConfig.from_dict(EncodingConfig().to_dict()) == EncodingConfig()
