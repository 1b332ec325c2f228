"""Pages from HTML: every visible block in document order, as resiliparse renders it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pagelabel.data.links import mark_links, unmarked, without_marks
from pagelabel.data.page import Page, PageError
from pagelabel.data.streams import ReadOptions, Stream, read_whole
from pagelabel.data.text import clean, decode

if TYPE_CHECKING:
    from resiliparse.parse.html import DocumentNode, ElementNode, HTMLTree, Node, TextNode

_HIDDEN = (
    "[hidden]",
    '[style*="display:none" i]',
    '[style*="display: none" i]',
    '[style*="visibility:hidden" i]',
    '[style*="visibility: hidden" i]',
    "dialog:not([open])",
)
# resiliparse takes a whole figure, caption and table and all, for alternative text, so that is kept and these are not.
_MEDIA = ("img", "area", "video", "audio", "object", "embed", "svg")
# It leaves out buttons and labels, which people see, and runs the others into the text after them.
_CONTROLS = (
    "button, label, input[type=submit i], input[type=button i], input[type=reset i], summary, legend, dialog[open]"
)
_INLINE_CONTROL_TAGS = ("button", "label", "input")
_CONTROL_TAGS = (*_INLINE_CONTROL_TAGS, "summary", "legend", "dialog")
_MOST_CONTROL_GROUPS = 2_000
_FIELDS = ("input", "select", "textarea", "datalist")

# Short cells are the columns of a table, read row by row; a longer one shows that the table is a layout.
_LONGEST_COLUMN_CELL = 40

_DECLARED_ENCODING = re.compile(rb"""(?:<meta\b[^>]+?charset|<\?xml\b[^>]+?encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.I)

# HTML parsing takes time in the square of the number of elements that are open, and of the attributes of one tag.
_MAX_OPEN = 10_000
_MAX_ATTRIBUTES = 10_000
_MAX_OPEN_LISTS = 100
_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)")
_LIST_TAG = re.compile(r"<(/?)([uo]l)\b", re.I)
# Those whose end tag nobody writes: they hold nothing, or the next one ends them.
_ENDED_BY_ITSELF = re.compile(
    "(?:a|area|base|body|br|button|col|colgroup|dd|dt|embed|head|hr|html|img|input|li|link|meta|nobr|option|p|param|source|"
    "tbody|td|tfoot|th|thead|tr|track|wbr)$"
)
_ENDLESS_TAG = re.compile(r"<[a-zA-Z][^>]{65536,}")
_NO_MARKUP = re.compile(r"<(script|style)\b.*?(?:</\1|\Z)|<!--.*?(?:-->|\Z)", re.I | re.S)
_QUOTED = re.compile(r""""[^"]*"|'[^']*'""")
_XML_EMPTY_TAG = re.compile(r"<(?!(?:area|base|br|col|embed|hr|img|input|link|meta|param)\b)([a-zA-Z]\w*)(\s[^<>]*)?/>")


def read_html(stream: Stream, source: str, options: ReadOptions) -> Iterator[Page | PageError]:
    """One page, named `source`, or a PageError where it is binary, too large, or too tangled to parse in time."""
    try:
        page = page_of_html(read_whole(stream, options.max_page_bytes), source)
    except ValueError as error:
        yield PageError(source, "", str(error))
    else:
        yield page


def page_of_html(data: bytes, page_id: str, charset: str | None = None) -> Page:
    """The page that an HTML or XHTML file shows: its `<title>` in `extra["title"]`, its canonical address in `url`, and
    what percent of each paragraph lies in links in `extra["link"]`.

    Its encoding is that of the byte order mark, or UTF-8 if the data are that, or what the server (`charset`) or
    the page declares, or detected. Raises ValueError if the data are binary, or so deeply nested that parsing them
    could take minutes.
    """
    from resiliparse.parse.html import HTMLTree

    declared = _DECLARED_ENCODING.search(data[:4096])
    html = decode(data, charset or (declared[1].decode("ascii") if declared else None))
    if html.startswith("<?xml"):
        html = _XML_EMPTY_TAG.sub(r"<\1\2></\1>", html)
    _check_cost(html)
    if _most_open(html, _LIST_TAG) > _MAX_OPEN_LISTS:
        # resiliparse indents a list by its depth: thousands of unclosed ones would fill the memory with spaces.
        html = _LIST_TAG.sub(r"<\1div", html)
    tree = HTMLTree.parse(mark_links(html))
    controls_left = tree.document is not None and not _expose_controls(tree.document)
    # A page that is hidden as a whole waits for its scripts to show it.
    found = _paragraphs(tree, _HIDDEN, controls_left) or _paragraphs(tree, (), controls_left)
    title = clean(unmarked(tree.title or ""))
    url = _address(tree.head) if tree.head is not None else None
    extra = {"title": title} if title else {}
    return Page(page_id, [text for text, _ in found], url, extra={**extra, "link": [link for _, link in found]})


def _paragraphs(tree: HTMLTree, hidden: tuple[str, ...], controls_left: bool) -> list[tuple[str, int]]:
    """Each paragraph, and what percent of it lies in links."""
    from resiliparse.extract.html2text import extract_plain_text

    text = extract_plain_text(
        tree,
        main_content=False,
        list_bullets=False,
        alt_texts=True,
        form_fields=controls_left,
        skip_elements=[*_MEDIA, *hidden, *(_FIELDS if controls_left else ())],
    )
    texts = []
    for line in text.split("\n"):
        cells = line.split("\t\t")
        if len(cells) > 1 and max(len(clean(unmarked(cell))) for cell in cells) <= _LONGEST_COLUMN_CELL:
            cells = [" ".join(cells)]
        texts += cells
    found = ((clean(text), link) for text, link in without_marks(texts))
    return [(text, link) for text, link in found if text]


def _expose_controls(document: DocumentNode) -> bool:
    """Make buttons and form labels plain elements: blocks, or inline where they stand in running text.

    False if the page has more of them than can be found in time.
    """
    from resiliparse.parse.html import ElementNode, TextNode

    # One search for each element that holds any: the lists that query_selector_all returns are slow to go through.
    for _ in range(_MOST_CONTROL_GROUPS):
        control = document.query_selector(_CONTROLS)
        parent = control.parent_node if control is not None else None
        if parent is None:
            return True
        siblings = list(_children(parent))
        running = any(isinstance(sibling, TextNode) and _text(sibling).strip() for sibling in siblings)
        for old in siblings:
            if isinstance(old, ElementNode) and old.tag in _CONTROL_TAGS and old.matches(_CONTROLS):
                inline = running and old.tag in _INLINE_CONTROL_TAGS
                new = document.create_element("span" if inline else "div")
                for name in ("hidden", "style"):
                    if (value := old.get_attribute(name)) is not None:
                        new.set_attribute(name, value)
                if old.tag == "input":
                    new.append_child(document.create_text_node(old.get_attribute("value") or ""))
                for child in list(_children(old)):
                    new.append_child(child)
                if inline:
                    # For the eye, the frame of a button keeps its text apart.
                    new.prepend(document.create_text_node(" "))
                    after = old.next_sibling
                    if isinstance(after, TextNode) and _text(after)[:1].isalnum():
                        new.append(document.create_text_node(" "))
                parent.replace_child(new, old)
    return False


def _text(node: TextNode) -> str:
    return unmarked(node.node_value or "")


def _children(node: Node) -> Iterator[Node]:
    child = node.first_child
    while child is not None:
        yield child
        child = child.next_sibling


def _address(head: ElementNode) -> str | None:
    places = (("link[rel~=canonical i]", "href"), ('meta[property="og:url" i]', "content"), ("base[href]", "href"))
    for selector, attribute in places:
        element = head.query_selector(selector)
        address = clean(unmarked((element.get_attribute(attribute) if element is not None else None) or ""))
        if address.startswith(("http://", "https://")):
            return address
    return None


def _check_cost(html: str) -> None:
    if html.count("<") > _MAX_OPEN and _most_open(_NO_MARKUP.sub("", html), _TAG) > _MAX_OPEN:
        raise ValueError(f"too tangled to parse: more than {_MAX_OPEN:,} HTML elements are open at once")
    if _ENDLESS_TAG.search(html):
        for tag in _ENDLESS_TAG.findall(_NO_MARKUP.sub("", html)):
            if len(_QUOTED.sub("", tag).split()) > _MAX_ATTRIBUTES:
                raise ValueError(f"too tangled to parse: an HTML tag has more than {_MAX_ATTRIBUTES:,} attributes")


def _most_open(html: str, tag: re.Pattern[str]) -> int:
    """The most elements that are open at once, as far as their tags tell."""
    still_open: Counter[str] = Counter()
    total = most = 0
    for end, name in tag.findall(html):
        name = name.lower()
        if _ENDED_BY_ITSELF.match(name):
            continue
        if not end:
            still_open[name] += 1
            total += 1
            most = max(most, total)
        elif still_open[name]:
            still_open[name] -= 1
            total -= 1
    return most
