"""Splitting pages so that a site is never on both sides."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from urllib.parse import urlsplit

from pagelabel.data.page import Page


def sites_of(pages: Sequence[Page]) -> list[str]:
    """The site of each page: its `site` field, else the host of its url, without "www."; else its id. A page and its
    views have one site: the whole page's, else the first that is known."""
    known: dict[str, str] = {}
    for page in sorted(pages, key=lambda page: "view" in page.extra):
        site = _known_site(page)
        if site:
            known.setdefault(_group(page), site)
    return [known.get(_group(page), _group(page)) for page in pages]


def _known_site(page: Page) -> str | None:
    site = page.extra.get("site")
    found = site if isinstance(site, str) and site else _host(page.url)
    return found.removeprefix("www.") if found else None


def _group(page: Page) -> str:
    return str(page.extra.get("page", page.id))


def _host(url: str | None) -> str | None:
    try:
        return urlsplit(url).hostname if url else None
    except ValueError:
        return None


def split_by_site(pages: Sequence[Page], share: float, seed: int) -> tuple[list[Page], list[Page]]:
    """(rest, held out): about `share` of the sites are held out, chosen by a hash of seed and site, so that a
    page added later never moves another one to the other side. Of two or more sites at least one is held out: where
    the share takes none it is the one of least hash, and a site added later may take its place."""

    def rank(site: str) -> float:
        digest = hashlib.sha256(f"{seed}\n{site}".encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64

    sites = sites_of(pages)
    ranks = {site: rank(site) for site in set(sites)}
    limit = max(share, min(ranks.values(), default=0.0)) if len(ranks) > 1 else 0.0
    rest: list[Page] = []
    held: list[Page] = []
    for page, site in zip(pages, sites, strict=True):
        value = ranks[site]
        (held if value < share or (value == limit and len(ranks) > 1) else rest).append(page)
    return rest, held
