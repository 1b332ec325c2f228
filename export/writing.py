"""What every export does: dev pages in, a bundle written whole or not at all, its scores."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pagelabel.data.corpus import corpus_files
from pagelabel.data.page import ARTICLE_LABELS, Page, PageError
from pagelabel.data.readers import read_pages
from pagelabel.flat import Logits
from pagelabel.model.bundle import BundleConfig, is_bundle
from pagelabel.model.lines import Lines
from pagelabel.training.evaluate import Evaluation
from pagelabel.training.pages import load_pages
from pagelabel.training.run_folder import LAST
from pagelabel.training.wrapping import wrapped

_REFERENCE_PAGES = 12
_WIDTH = 72


class ExportError(ValueError):
    """The bundle was not written; the message says which check failed."""


def dev_sets(files: Sequence[str], labels: Sequence[str]) -> dict[str, list[Page]]:
    """Labelled pages by the name of their file. Raises ExportError where two share a name or one has none."""
    if not files:
        raise ExportError("the checkpoint names no dev files: name labelled pages with --dev")
    sets: dict[str, list[Page]] = {}
    for file in files:
        name = Path(file).name
        if name in sets:
            raise ExportError(f"two dev files are named {name}: scores go by the name, so rename one")
        sets[name] = load_pages([file], labels)
        if not sets[name]:
            raise ExportError(f"{file}: no labelled pages in it")
    return sets


def portable(info: dict[str, Any], leave_out: Collection[str]) -> dict[str, Any]:
    """What a checkpoint tells of itself, and of those before it, but for the fields `leave_out`, and without the paths
    of the machine that it was trained on."""
    start = info.get("start")
    kept = {key: value for key, value in info.items() if key not in leave_out}
    training = _without_folders(info["training"])
    return {**kept, "training": training, "start": start and portable(start, leave_out)}


def _without_folders(training: dict[str, Any]) -> dict[str, Any]:
    """The settings of a run with the names of files alone, and of checkpoints (`runs/<name>/best`) those of their
    runs (of the last one of a run, `runs/<name>/last`, `<name>/last`)."""

    def name(path: str | None) -> str | None:
        if path is None:
            return None
        place = Path(path)
        if place.name == LAST:
            return f"{place.parent.name}/{LAST}"
        return (place.parent.name or place.name) if place.name == "best" else place.name

    data = training["data"]
    files = {key: [name(file) for file in data[key]] for key in ("train", "dev")}
    others = ("base", "teacher", "sentences", "probabilities", "states")
    return {
        **training,
        **{key: name(training[key]) for key in others if key in training},
        "data": {**data, **files, "corrections": name(data["corrections"])},
    }


@contextmanager
def new_bundle(output: Path) -> Iterator[Path]:
    """A folder to write to, renamed to `output` when all went well; an older bundle there is replaced. Raises
    ExportError where `output` is something else."""
    if output.exists() and not is_bundle(output):
        raise ExportError(f"{output} exists and is not a bundle: choose another folder")
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        if output.exists():
            old = output.with_name(f".{output.name}.old{os.getpid()}")
            output.rename(old)
            temporary.rename(output)
            shutil.rmtree(old)
        else:
            temporary.rename(output)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def reference_pages() -> list[Page]:
    """A few pages of the project's own corpus, every other one with links, which all of its furniture is, and every
    fourth hard-wrapped."""
    pages = [page for file in corpus_files() for page in read_pages(file) if not isinstance(page, PageError)]
    chosen = pages[:: max(1, len(pages) // _REFERENCE_PAGES)][:_REFERENCE_PAGES]
    linked = [_linked(page) if i % 2 else page for i, page in enumerate(chosen)]
    return [wrapped(page, _WIDTH) if i % 4 == 2 else page for i, page in enumerate(linked)]


def _linked(page: Page) -> Page:
    link = [0 if label in ARTICLE_LABELS else 100 for label in page.labels or ()]
    return replace(page, extra={**page.extra, "link": link})


def evaluations(
    sets: dict[str, list[Page]], logits: Sequence[Logits], config: BundleConfig, *, join: bool
) -> dict[str, Evaluation]:
    """Scores of each set, of the logits of all pages in order; with `join`, of those with their lines joined."""
    rows = iter(logits)
    out = {}
    for name, pages in sets.items():
        given = []
        for page in pages:
            labels, scores = config.decide(next(rows))
            lines = Lines.of(page, join=join)
            given.append(replace(page, labels=lines.spread(labels), scores=lines.spread(scores)))
        out[name] = Evaluation.of(pages, given, config.labels)
    return out
