"""A flat bundle and a fast one as a pair, whose logits are added: two models that err in different places.

    python -m pagelabel.export.pair accurate fast -o FOLDER --dev PAGES...

The bundles are copied into the folder; with `--beside`, for those that ship together, it names them where they are.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pagelabel.data.page import Page
from pagelabel.export.calibrate import cross_entropy, fit_decisions, fit_temperature
from pagelabel.export.card import decisions, held_out, limits, opening, score_section
from pagelabel.export.parity import Logits
from pagelabel.export.writing import ExportError, dev_sets, evaluations, new_bundle
from pagelabel.labeler import Labeler
from pagelabel.model.bundle import CARD, CONFIG, FLAT, HIERARCHICAL, BundleConfig, find_bundle, sha256
from pagelabel.model.pair import Pair
from pagelabel.pair import added
from pagelabel.training.evaluate import Evaluation

_WEIGHTS = np.arange(1, 41) / 20


def export_pair(
    flat: str | Path, fast: str | Path, output: str | Path, *, dev: Sequence[str], beside: bool = False
) -> Path:
    """Write the pair of two bundles (folders, or names of shipped ones) to `output`, replacing a bundle there.

    The second one's weight, temperature, transitions and thresholds are fitted, and scores measured, on the labelled
    pages of `dev`. Raises ExportError where the bundles are not one of each kind with the same labels.
    """
    output = Path(output).resolve()
    folders = [find_bundle(name).resolve() for name in (flat, fast)]
    labelers = [Labeler.load(folder) for folder in folders]
    configs = [labeler.config for labeler in labelers]
    if (kinds := [config.network for config in configs]) != [FLAT, HIERARCHICAL]:
        raise ExportError(f"a pair is of a flat bundle and a fast one, found {' and '.join(kinds)}")
    if configs[0].labels != configs[1].labels:
        raise ExportError(f"their labels differ: {', '.join(configs[0].labels)} and {', '.join(configs[1].labels)}")
    sets = dev_sets(dev, configs[0].labels)
    pages = [page for found in sets.values() for page in found]
    ours, theirs = (_logits(labeler, pages) for labeler in labelers)
    weight = fit_weight(ours, theirs, pages, configs[0].labels)
    logits = added(ours, theirs, weight)
    with new_bundle(output) as folder:
        parts: list[str] = []
        for kind, part in zip((FLAT, HIERARCHICAL), folders, strict=True):
            if beside:
                parts.append(Path(os.path.relpath(part, output)).as_posix())
            else:
                shutil.copytree(part, folder / kind)
                parts.append(kind)
        pair = Pair((parts[0], parts[1]), weight)
        config = fit_decisions(BundleConfig(configs[0].labels, pair, 1.0, {}, {}, {}), logits, pages)
        scores = evaluations(sets, logits, config)
        digests = [sha256(part / CONFIG) for part in folders]
        config = replace(
            config,
            sha256=dict(zip(config.files, digests, strict=True)),
            provenance={"metrics": {name: evaluation.summary() for name, evaluation in scores.items()}},
        )
        (folder / CARD).write_text(pair_card(config, configs, scores, beside=beside), encoding="utf-8")
        (folder / CONFIG).write_text(config.to_json(), encoding="utf-8")
    return output


def _logits(labeler: Labeler, pages: Sequence[Page]) -> list[Logits]:
    bar = tqdm(pages, desc=labeler.config.network, unit="page", disable=not sys.stderr.isatty())
    return [labeler.logits(page) for page in bar]


def fit_weight(ours: Sequence[Logits], theirs: Sequence[Logits], pages: Sequence[Page], labels: Sequence[str]) -> float:
    """The weight, of .05 to 2, of the second model's logits under which the labels of `pages` are most likely, at the
    temperature that is best with it; whole pages and views count alike. Macro-F1 hangs on too few paragraphs."""
    gold = np.array([labels.index(label) for page in pages for label in page.labels or ()])
    view = np.array([page.view is not None for page in pages for _ in page.paragraphs])
    forms = [rows for rows in (~view, view) if rows.any()]
    losses = []
    for weight in _WEIGHTS:
        logits = np.concatenate(added(ours, theirs, weight))
        scaled = logits.astype(np.float64) / fit_temperature(logits, gold)
        losses.append(sum(cross_entropy(scaled[rows], gold[rows]) for rows in forms))
    return float(_WEIGHTS[int(np.argmin(losses))])


def pair_card(
    config: BundleConfig, parts: Sequence[BundleConfig], evaluations: dict[str, Evaluation], *, beside: bool
) -> str:
    """Markdown: what the pair is of, its scores, and the command that made it; the rest is in the cards of the two."""
    assert isinstance(config.encoding, Pair)
    flat, fast = config.encoding.parts
    known = set.intersection(*(held_out(part) for part in parts))
    sections = [
        f"""{opening(config.labels)}
Two models read the page beside each other: [one]({flat}/README.md) windows of word pieces,
[the other]({fast}/README.md) the whole page, a paragraph at a time. The logits are those of the first and
{config.encoding.weight:g} times those of the second. What they read, learnt from and were checked for is in their
cards; this folder has `config.json` (the folders of the two, temperature, transitions, thresholds, the sha256 of their
`config.json`).
"""
    ]
    sections += [score_section(name, found, unseen=name in known) for name, found in evaluations.items()]
    sections.append(
        f"""## Recipe

{decisions(config)} So was the weight.

Made with (the folders of the two as seen from this one):

```
python -m pagelabel.export.pair {flat} {fast} -o FOLDER{" --beside" if beside else ""} --dev {" ".join(evaluations)}
```
"""
    )
    return "\n".join([*sections, limits(config.labels)])


def main() -> int:
    parser = argparse.ArgumentParser(description="Make a pair of two bundles.")
    parser.add_argument("flat", help="a flat bundle, or 'accurate'")
    parser.add_argument("fast", help="a bundle of the fast model, or 'fast'")
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--dev", nargs="+", required=True)
    parser.add_argument("--beside", action="store_true", help="name the bundles where they are instead of copying them")
    args = parser.parse_args()
    print(export_pair(args.flat, args.fast, args.output, dev=args.dev, beside=args.beside))
    return 0


if __name__ == "__main__":
    sys.exit(main())
