import re
import textwrap
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagelabel.data.text import clean, decode, lines_of, paragraphs_of_text

PROSE = [
    "The ferry left at six in the morning with eleven people, two dogs and a piano on board, and by noon the line for "
    "the return trip reached the bakery at the other end of the harbour.",
    "“I had stopped believing in it,” said Edda Lund, who runs the only café of the island. “Now I have to bake for "
    "strangers again, and I have forgotten how much sugar they take.”",
    "Tickets cost $4 each way until October. Islanders ride for nothing, as they did before the old boat was sold to a "
    "museum on the mainland that promised to keep its engine running.",
]
LANGUAGES = {
    "cp1252": "„Über den Fluß“ – so heißt das Stück, für das die Schüler drei Wochen geübt haben. Am Abend war die "
    "Bühne geschmückt, und die Bürgermeisterin drückte jedem die Hand.",
    "latin-1": "L'été dernier, la rivière a débordé après l'orage; les élèves ont été logés à la mairie. « Nous avons "
    "dormi près du théâtre », raconte la maîtresse, « et ça nous a plu. »",
    "utf-16": "A short line, and a café.",
    "utf-16-le": "Latin text without a byte order mark.",
    "utf-16-be": "Latin text without a byte order mark.",
    "utf-32": "With a byte order mark.",
    "gb18030": "渡轮在离开九年之后重新回到了小岛。早上六点，十一个人和两只狗一起登上了船。",
    "big5": "渡輪在離開九年之後重新回到了小島。早上六點，十一個人和兩隻狗一起登上了船。",
    "shift_jis": "フェリーは九年ぶりに島へ戻ってきました。朝六時、十一人と二匹の犬が乗り込みました。",
    "euc_jp": "フェリーは九年ぶりに島へ戻ってきました。朝六時、十一人と二匹の犬が乗り込みました。",
    "iso2022_jp": "フェリーは九年ぶりに島へ戻ってきました。朝六時、十一人と二匹の犬が乗り込みました。",
    "euc_kr": "여객선이 구 년 만에 섬으로 돌아왔다. 아침 여섯 시에 열한 명과 개 두 마리가 올랐다.",
    "koi8-r": "Паром вернулся на остров через девять лет. На борт поднялись люди и собаки.",
    "cp1251": "Паром вернулся на остров через девять лет. На борт поднялись люди и собаки.",
    "cp1253": "Το πλοίο επέστρεψε στο νησί μετά από εννέα χρόνια. Στις έξι το πρωί ανέβηκαν έντεκα άνθρωποι.",
    "cp1250": "Prom wrócił na wyspę po dziewięciu latach. "
    "O szóstej rano na pokład weszło jedenaście osób i żółw, "
    "a kolejka sięgała aż do piekarni.",
}


@pytest.mark.parametrize("encoding", LANGUAGES)
def test_encodings_are_detected(encoding: str) -> None:
    assert decode(LANGUAGES[encoding].encode(encoding)) == LANGUAGES[encoding]


@pytest.mark.parametrize("text", LANGUAGES.values())
def test_utf_8_is_never_taken_for_anything_else(text: str) -> None:
    for cut in range(1, 30):
        assert decode(text[:cut].encode()) == text[:cut]


def test_a_few_broken_bytes_do_not_change_the_encoding() -> None:
    text = LANGUAGES["cp1252"]
    assert decode(text.encode() + b"\xff\xfe") == text + "\ufffd\ufffd"
    chinese = LANGUAGES["gb18030"] * 3
    assert decode(chinese.encode("gb18030") + b"\xff").startswith(chinese[:-1])


def test_a_declared_encoding_decides_where_the_text_is_not_utf_8() -> None:
    text = "Grüße"
    assert decode(text.encode("cp1252"), "iso-8859-1") == text
    assert decode(text.encode(), "iso-8859-1") == text
    assert decode("№ 5".encode("koi8-u", "replace"), "koi8-u") == "? 5"
    assert decode(text.encode("cp1252") * 20, "utf-8") == text * 20
    assert decode(text.encode("cp1252") * 20, "no such encoding") == text * 20


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9,
        b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n" + bytes(range(256)),
        b"PK\x03\x04\xff",
        bytes(range(256)) * 40,
    ],
)
def test_binary_data_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="binary"):
        decode(data)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  a \t b\xa0\u3000c\u2003 ", "a b c"),
        ("\0a\0b\x1b\x7f", "ab"),
        ("\ufeffzero\u200bwidth, soft\xadhyphen\u2060", "zerowidth, softhyphen"),
        ("\u200e\u202a \u2066\u200d", ""),
        ("नहीं क्\u200dष, نمی\u200cدانم, 👩\u200d🌾", "नहीं क्\u200dष, نمی\u200cدانم, 👩\u200d🌾"),
        ("\u200c \u200c a\u200c \u200db", "a b"),
        ("\x93Stop,\x94 she said \x96 and that\x92s that\x85", "“Stop,” she said – and that’s that…"),
        ("itâ\x80\x99s Zürich", "it’s Zürich"),
        ("\ue001 \ufffd", "\ue001 \ufffd"),
    ],
)
def test_clean(text: str, expected: str) -> None:
    assert clean(text) == expected


@settings(deadline=None)
@given(st.text())
def test_clean_is_final_and_keeps_what_can_be_seen(text: str) -> None:
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert re.sub(r"\s", "", cleaned).isprintable() or not text.isprintable()
    if not re.search("[\x80-\x9f]", text):
        letters = [character for character in text if character.isalnum()]
        assert [character for character in cleaned if character.isalnum()] == letters


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\x0b", "\x0c", "\u2028", "\n \t\xa0\n"])
def test_every_line_end_ends_a_line(end: str) -> None:
    assert paragraphs_of_text(end.join(["One.", "Two.", "\u200b", "Three."])) == ["One.", "Two.", "Three."]


@pytest.mark.parametrize("width", [50, 65, 72, 80, 100])
def test_hard_wrapped_prose_is_joined_and_its_lists_are_not(width: int) -> None:
    menu = ["Home", "News", "Donate", "Contact"]
    wrapped = [textwrap.fill(paragraph, width) for paragraph in PROSE]
    assert paragraphs_of_text("\n\n".join(["\n".join(menu), *wrapped])) == [*menu, *PROSE]


def test_indented_and_ragged_text_is_joined() -> None:
    wrapped = [textwrap.fill(paragraph, 66, initial_indent="    ") for paragraph in PROSE]
    assert paragraphs_of_text("\r\n\r\n".join(wrapped).replace("\n", "  \n")) == PROSE


def test_wrapped_paragraphs_without_blank_lines_end_at_a_short_last_line() -> None:
    assert paragraphs_of_text("\n".join(textwrap.fill(paragraph, 72) for paragraph in PROSE)) == PROSE


def test_a_word_wrapped_at_its_hyphen_stays_whole() -> None:
    text = "The harbour master keeps a well-worn book of all boats that ever\n"
    text += "called at the quay, and the old-\nfashioned ones are in red."
    assert "old-fashioned ones" in paragraphs_of_text(text, "paragraphs")[0]


def test_wrapped_chinese_is_joined_without_spaces() -> None:
    text = (
        "渡轮在离开九年之后重新回到了小岛。早上六点，十一个人和两只狗一起登上了船，岛上唯一的咖啡馆又开始烤面包了。" * 2
    )
    wrapped = "\n".join(text[i : i + 30] for i in range(0, len(text), 30))
    assert paragraphs_of_text(f"{wrapped}\n\n{wrapped}") == [text, text]


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(PROSE),
        "\n\n".join(PROSE),
        "Roses are red and\nviolets are blue,\nsugar is sweet and\nso are you.",
        "\n".join(f"2024-05-14 06:{i:02}:00 INFO ferry heron left the quay with {i:03} people" for i in range(40)),
        "\n".join(f"Headline number {i} about {'a very long matter of ' * (i % 3)}boats" for i in range(20)),
        "A title\n\nAnd a line",
        "",
    ],
)
def test_lines_that_are_not_wrapped_stay(text: str) -> None:
    assert paragraphs_of_text(text) == [line for line in text.split("\n") if line]


def test_modes_overrule_detection() -> None:
    text = "one\ntwo\n\nthree"
    assert paragraphs_of_text(text, "lines") == ["one", "two", "three"]
    assert paragraphs_of_text(text, "paragraphs") == ["one two", "three"]
    wrapped = textwrap.fill(PROSE[0], 60)
    assert paragraphs_of_text(wrapped, "lines") == wrapped.split("\n")


words = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=12)
texts = st.lists(words | st.sampled_from(["\n", "\n\n", "\r\n", "\x0c", " ", "-\n", "\0"]), max_size=120)


@settings(deadline=None)
@given(texts, st.sampled_from(["auto", "lines", "paragraphs"]))
def test_joining_loses_nothing(parts: list[str], mode: Any) -> None:
    text = " ".join(parts)
    paragraphs = paragraphs_of_text(text, mode)
    assert all(paragraphs)
    assert "".join("".join(paragraphs).split()) == "".join(clean(text).split())


def test_the_escapes_of_iso_2022_jp_alone_are_no_reason_to_fail() -> None:
    assert decode(b"\x1b$B") in ("", "\x1b$B")
    assert decode("costs \x1b$5, naïve café".encode()) == "costs \x1b$5, naïve café"


def test_a_text_that_begins_like_a_picture_is_text() -> None:
    text = "BM ist die Bürgermeisterin, die für die Brücke stimmt."
    assert decode(text.encode("cp1252")) == text


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_decode_or_are_binary(data: bytes) -> None:
    try:
        text = decode(data)
    except ValueError as error:
        cause = str(error)
    else:
        text.encode()
        assert all(paragraphs_of_text(text))
        return
    assert "binary" in cause


def test_a_mark_that_was_wrongly_decoded_ends_no_line() -> None:
    assert paragraphs_of_text("He waited\x85 and then\r\nhe left.\x85") == ["He waited… and then", "he left.…"]
    assert paragraphs_of_text("Han bor i \xc3\x85lesund.") == ["Han bor i Ålesund."]


@given(st.text(st.sampled_from("ab \n\r\v\f\x1c\x1d\x1e\x1f\u2028\u2029é")))
def test_lines_are_those_of_python(text: str) -> None:
    assert lines_of(text) == text.splitlines(keepends=True)
    with_mark = lines_of(text + "x\x85y")
    assert with_mark == [*lines_of(text + "x")[:-1], lines_of(text + "x")[-1] + "\x85y"]
