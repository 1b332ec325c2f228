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
    for page in sorted(pages, key=lambda page: page.view is not None):
        site = _known_site(page)
        if site:
            known.setdefault(page.group, site)
    return [known.get(page.group, page.group) for page in pages]


def _known_site(page: Page) -> str | None:
    site = page.extra.get("site")
    found = site if isinstance(site, str) and site else _host(page.url)
    return found.removeprefix("www.") if found else None


def _host(url: str | None) -> str | None:
    try:
        return urlsplit(url).hostname if url else None
    except ValueError:
        return None


def split_by_site(pages: Sequence[Page], share: float, seed: int) -> tuple[list[Page], list[Page]]:
    """(rest, held out): about `share` of the sites are held out, chosen by a hash of seed and site, so that a
    page added later never moves another one to the other side. Of two or more sites at least one is held out and one
    is not: where the share takes none or all it is the one of least hash or the others than that of most, and a site
    added later may take its place. Nothing is held out of one site."""

    def rank(site: str) -> float:
        digest = hashlib.sha256(f"{seed}\n{site}".encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64

    sites = sites_of(pages)
    ranks = {site: rank(site) for site in set(sites)}
    order = sorted(ranks, key=lambda site: ranks[site])
    count = min(max(sum(value < share for value in ranks.values()), 1), len(order) - 1)
    chosen = set(order[:count])
    rest = [page for page, site in zip(pages, sites, strict=True) if site not in chosen]
    held = [page for page, site in zip(pages, sites, strict=True) if site in chosen]
    return rest, held
