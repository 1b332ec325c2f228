"""Splitting pages so that a site is never on both sides."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from urllib.parse import urlsplit

from pagelabel.data.page import Page


def site_of(page: Page) -> str:
    """The page's `site` field, else the host of its url, else its id (a view's is that of its page)."""
    site = page.extra.get("site")
    if isinstance(site, str) and site:
        return site
    return _host(page.url) or str(page.extra.get("page", page.id))


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

    ranks = {site: rank(site) for site in {site_of(page) for page in pages}}
    limit = max(share, min(ranks.values(), default=0.0)) if len(ranks) > 1 else 0.0
    rest: list[Page] = []
    held: list[Page] = []
    for page in pages:
        value = ranks[site_of(page)]
        (held if value < share or (value == limit and len(ranks) > 1) else rest).append(page)
    return rest, held
