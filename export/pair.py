"""A flat bundle and a fast one as a pair, whose logits are added: two models that err in different places.

    pagelabel pair accurate fast -o FOLDER --dev PAGES...

The bundles are copied into the folder; with `--beside`, for those that ship together, it names them where they are.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from math import inf
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pagelabel.data.page import Page
from pagelabel.export.calibrate import fit_decisions
from pagelabel.export.card import decisions, held_out, limits, opening, score_section
from pagelabel.export.pairing import Reader, fit_pair
from pagelabel.export.reference import reference_row
from pagelabel.export.writing import ExportError, dev_sets, evaluations, new_bundle, reference_pages
from pagelabel.flat import FlatModel, Logits
from pagelabel.hierarchical import HierarchicalModel
from pagelabel.labeler import Labeler
from pagelabel.model.bundle import CARD, CONFIG, FLAT, HIERARCHICAL, REFERENCE, BundleConfig, find_bundle, sha256
from pagelabel.model.pair import COST, Pair
from pagelabel.pair import PairModel, unsure
from pagelabel.training.evaluate import Evaluation
from pagelabel.training.wrapping import as_read


def export_pair(
    flat: str | Path,
    fast: str | Path,
    output: str | Path,
    *,
    dev: Sequence[str],
    beside: bool = False,
    cost: float = COST,
) -> Path:
    """Write the pair of two bundles (folders, or names of shipped ones) to `output`, replacing a bundle there.

    How their logits are added (`pagelabel.export.pairing`), temperature, transitions and thresholds are fitted, and
    scores measured, on the labelled pages of `dev`. `cost` is how much macro-F1 and accuracy may be lost for speed,
    where the second is alone. Raises ExportError where the bundles are not one of each kind with the same labels.
    """
    if not 0 <= cost <= 1:
        raise ExportError(f"the cost should be from 0 to 1, found {cost}")
    output = Path(output).resolve()
    folders = [find_bundle(name).resolve() for name in (flat, fast)]
    for folder in folders:
        if folder == output or (beside and folder.is_relative_to(output)):
            raise ExportError(f"{output} is, or holds, one of the two bundles, which it would replace: choose another")
    labelers = [Labeler.load(folder) for folder in folders]
    configs = [labeler.config for labeler in labelers]
    first, second = (labeler.model for labeler in labelers)
    if not isinstance(first, FlatModel) or not isinstance(second, HierarchicalModel):
        kinds = " and ".join(config.network for config in configs)
        raise ExportError(f"a pair is of a flat bundle and a fast one, found {kinds}")
    if configs[0].labels != configs[1].labels:
        raise ExportError(f"their labels differ: {', '.join(configs[0].labels)} and {', '.join(configs[1].labels)}")
    sets = dev_sets(dev, configs[0].labels)
    if first.join_lines != second.join_lines:
        raise ExportError("one of them reads lines joined (join_lines), the other each by itself")
    pages = as_read([page for found in sets.values() for page in found], join=first.join_lines)
    ours, theirs = _logits(first, pages), _logits(second, pages)
    reader = Reader.of(first.encoder, pages)
    with new_bundle(output) as folder:
        parts: list[str] = []
        for kind, part in zip((FLAT, HIERARCHICAL), folders, strict=True):
            if beside:
                parts.append(Path(os.path.relpath(part, output)).as_posix())
            else:
                shutil.copytree(part, folder / kind)
                parts.append(kind)
        pair = fit_pair((parts[0], parts[1]), reader, ours, theirs, pages, configs[0].labels, cost)
        model = PairModel(first, second, pair)
        logits = _logits(model, pages)
        config = fit_decisions(BundleConfig(configs[0].labels, pair, 1.0, {}, {}, {}), logits, pages)
        scores = evaluations(sets, logits, config, join=model.join_lines)
        rows = _reference_rows(Labeler(config, model), model)
        (folder / REFERENCE).write_text("".join(rows), encoding="utf-8")
        config = replace(
            config,
            sha256={
                **{f"{name}/{CONFIG}": sha256(part / CONFIG) for name, part in zip(parts, folders, strict=True)},
                REFERENCE: sha256(folder / REFERENCE),
            },
            provenance={
                "metrics": {name: evaluation.summary() for name, evaluation in scores.items()},
                "tokens_read": _tokens_read(pair, reader, theirs, sets),
            },
        )
        (folder / CARD).write_text(pair_card(config, configs, scores, _options(beside, cost)), encoding="utf-8")
        (folder / CONFIG).write_text(config.to_json(), encoding="utf-8")
    return output


def _logits(model: FlatModel | HierarchicalModel | PairModel, pages: Sequence[Page]) -> list[Logits]:
    bar = tqdm(pages, desc=type(model).__name__, unit="page", disable=not sys.stderr.isatty())
    return [model.logits([page])[0] for page in bar]


def _reference_rows(labeler: Labeler, model: PairModel) -> Iterator[str]:
    """A line a page, see `reference_row`, with the places of the paragraphs that the first model is asked for; logits
    are those of int8."""
    for page in reference_pages():
        read = labeler.as_read(page).page
        asked = {"asked": np.flatnonzero(model.asked(read)).tolist()}
        row = reference_row(page, asked, model.logits([read])[0], labeler.config, join=model.join_lines)
        yield json.dumps(row, ensure_ascii=False) + "\n"


def _tokens_read(pair: Pair, reader: Reader, theirs: Sequence[Logits], sets: dict[str, list[Page]]) -> dict[str, float]:
    """Of each set, the tokens that the first model reads, as a share of what it would read alone."""
    alone = iter(reader.tokens([None] * len(theirs)))
    asked = reader if pair.sure == inf else reader.with_context(pair.context)
    read = iter(asked.tokens([unsure(rows, pair.sure) for rows in theirs]))
    sizes = {name: len(pages) for name, pages in sets.items()}
    return {name: round(sum(islice(read, n)) / sum(islice(alone, n)), 4) for name, n in sizes.items()}


def _options(beside: bool, cost: float) -> str:
    return " --beside" * beside + f" --cost {cost:g}" * (cost != COST)


def pair_card(
    config: BundleConfig, parts: Sequence[BundleConfig], evaluations: dict[str, Evaluation], options: str
) -> str:
    """Markdown: what the pair is of, its scores, and the command that made it; the rest is in the cards of the two."""
    assert isinstance(config.encoding, Pair)
    flat, fast = config.encoding.parts
    known = set.intersection(*(held_out(part) for part in parts))
    sections = [
        f"""{opening(config.labels)}
Two models: [one]({flat}/README.md) reads windows of word pieces, [the other]({fast}/README.md) the whole page, a
paragraph at a time. What they read, learnt from and were checked for is in their cards.

{_asked(config.encoding, config.provenance["tokens_read"])}

This folder has `config.json` (the folders of the two, what is above, temperature, transitions, thresholds, sha256) and
`reference.jsonl` (pages with the paragraphs that the first is asked for, logits and labels).
"""
    ]
    sections += [score_section(name, found, unseen=name in known) for name, found in evaluations.items()]
    sections.append(
        f"""## Recipe

{decisions(config)} So was how logits are added.

Made with (the folders of the two as seen from this one):

```
pagelabel pair {flat} {fast} -o FOLDER{options} --dev {" ".join(evaluations)}
```
"""
    )
    return "\n".join([*sections, limits(config.labels)])


def _asked(pair: Pair, tokens_read: dict[str, float]) -> str:
    added = f"logits are those of the first and {pair.weight:g} times those of the second"
    if pair.sure == inf:
        return f"Both read everything; {added}."
    shares = ", ".join(f"{share:.0%} on `{name}`" for name, share in tokens_read.items())
    around = f"{pair.context} tokens of context on both sides"
    return f"""The second reads everything. Where its best logit leads by {pair.sure:g} or more, it is alone, and its
logits are multiplied by {pair.alone:g}. The first reads the rest, with {around}; there
{added}.
Of the tokens that it would read alone, the first reads {shares}."""
