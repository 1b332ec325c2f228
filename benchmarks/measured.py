"""The pages that the scripts here measure on, and the processor."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

from pagelabel import Page, PageError, read_pages


def measured(source: str) -> list[Page]:
    """All pages of `source`; ends the script where one cannot be read."""
    pages = []
    for item in read_pages(source):
        if isinstance(item, PageError):
            sys.exit(f"{item}; the measured pages are not part of this repository")
        pages.append(item)
    return pages


def cpu() -> dict[str, object]:
    fields = dict(
        (part.strip() for part in line.split(":", 1))
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if ":" in line
    )
    flags = [flag for flag in fields.get("flags", "").split() if flag.startswith(("avx", "amx", "fma"))]
    return {"name": fields.get("model name", platform.processor()), "cores": os.cpu_count(), "flags": flags}
