"""Write what was measured into the README, between its <!-- results --> marks.

    python benchmarks/readme.py

Accuracy is that of the shipped bundles' exports (their `config.json`), the rest what the scripts here left in
`benchmarks/results`.
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

from pagelabel.model.bundle import SHIPPED, read_bundle, shipped_bundle

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
_START, _END = "<!-- results -->\n", "<!-- /results -->"
_WHOLE, _VIEWS = "dev.jsonl.gz", "dev_views.jsonl.gz"
_BASELINES = {
    "neighbours": "TF-IDF of the paragraph and two neighbours on each side",
    "paragraph": "TF-IDF of the paragraph alone",
}


def main() -> None:
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    begin, end = text.index(_START) + len(_START), text.index(_END)
    sections = [accuracy(), known(), speed(), extractors(), files(), _CLOSING]
    readme.write_text(text[:begin] + "\n".join(sections) + text[end:], encoding="utf-8")


def accuracy() -> str:
    metrics = {name: read_bundle(shipped_bundle(name)).provenance["metrics"] for name in SHIPPED}
    first = metrics[next(iter(SHIPPED))]
    rows = [_accuracy_row(f"**pagelabel**, `{name}`", found[_WHOLE], found[_VIEWS]) for name, found in metrics.items()]
    baselines = _result("baselines")["baselines"]
    for name, title in _BASELINES.items():
        whole, views = ({**baselines[name]["dev"][file]["report"]} for file in (_WHOLE, _VIEWS))
        for report in (whole, views):
            report["article_word_f1"] = report["article"]["f1"]
        rows.append(_accuracy_row(title, whole, views))
    pages, paragraphs, lines = first[_WHOLE]["pages"], first[_WHOLE]["paragraphs"], first[_VIEWS]["paragraphs"]
    prose = (
        f"On {pages} pages of sites that training never saw ({paragraphs:,} paragraphs), whole and as five extractors "
        f"leave them ({lines:,} lines):"
    )
    halves = _result("halves")
    honest = ", ".join(
        f"`{name}` {found[_WHOLE]['macro_f1']:.3f} (extracted {found[_VIEWS]['macro_f1']:.3f})"
        for name, found in halves.items()
    )
    fitted = (
        "Temperature, thresholds and what labels follow each other (of the pair how logits are added, too) were fitted "
        f"on these pages. Fitted on half of them and tried on the other, macro-F1 is: {honest}."
    )
    return f"""{_wrap(prose)}

| | macro-F1, whole pages | article F1 by words | macro-F1, extracted | article F1 by words |
|---|---|---|---|---|
{_lines(rows)}

```sh
pagelabel evaluate both ../shared/data/dev.jsonl.gz -o report
python benchmarks/baselines.py --train ../shared/data/train.jsonl.gz ../shared/data/train_views.jsonl.gz \\
    --dev ../shared/data/dev.jsonl.gz ../shared/data/dev_views.jsonl.gz --out benchmarks/results/baselines.json
```

{_wrap(fitted)}

```sh
python benchmarks/halves.py --pages ../shared/data/dev.jsonl.gz ../shared/data/dev_views.jsonl.gz \\
    --out benchmarks/results
```
"""


def _accuracy_row(name: str, whole: dict[str, float], views: dict[str, float]) -> str:
    cells = [found[key] for found in (whole, views) for key in ("macro_f1", "article_word_f1")]
    return f"| {name} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |"


def known() -> str:
    found = _result("known")
    rows = [
        f"| {title} | " + "".join(f"{m[title]['macro_f1']:.3f} | {m[title]['accuracy']:.3f} | " for m in found.values())
        for title in next(iter(found.values()))
    ]
    names = " | ".join(f"`{name}`, macro-F1 | accuracy" for name in found)
    prose = "Whole pages, by what is known of them beside their text (above all of it; of extracted pages the title):"
    return f"""{_wrap(prose)}

| | {names} |
|---|{"---|" * 2 * len(found)}
{_lines([row.rstrip() for row in rows])}

```sh
python benchmarks/known.py --pages ../shared/data/dev.jsonl.gz --out benchmarks/results
```
"""


def speed() -> str:
    found = _result("speed")
    rates, ratios = found["pages_per_second"], found["times_trafilatura"]
    rows = []
    for name, rate in rates.items():
        title = f"`{name.split(',')[0]}`{name[len(name.split(',')[0]) :]}" if name in ratios else name
        spread = f"{rate['median']:.1f} ({rate['least']:.1f} to {rate['most']:.1f})"
        rows.append(f"| {title} | {spread} | " + (f"{ratios[name]['median']:.2f} |" if name in ratios else "|"))
    models = [
        f"| `{name}` | {m['paragraphs_per_second']:,} | {m['start_up_seconds']:.2f} s | "
        f"{m['peak_memory_megabytes']} MB | {m['bundle_megabytes']:.1f} MB |"
        for name, m in found["models"].items()
    ]
    prose = (
        f'One core of {found["cpu"]["name"]}, tokenizing included; "warm" has read the pages before and remembers the '
        "vectors of their short paragraphs, as those of a site's menus are remembered after a few of its pages:"
    )
    return f"""{_wrap(prose)}

| | pages/s (least to most of {found["rounds"]} rounds) | times trafilatura |
|---|---|---|
{_lines(rows)}

| | paragraphs/s | start-up | peak memory | bundle |
|---|---|---|---|---|
{_lines(models)}

```sh
python benchmarks/speed.py --pages ../shared/data/dev.jsonl.gz --html ../shared/data/html \\
    --views ../shared/data/dev_views.jsonl.gz --out benchmarks/results
```

[Accuracy against speed](benchmarks/results/frontier.md) of every model that was shipped has a table and a plot.
"""


def extractors() -> str:
    rows = [
        f"| {name} | {x['extractor_f1']:.3f} | {x['with_pagelabel_f1']:.3f} | {x['gain']:+.3f} | "
        f"{x['gain_interval'][0]:+.3f} to {x['gain_interval'][1]:+.3f} | "
        f"{x['article_words_lost_by_pagelabel']:.1%} | {x['other_words_removed']:.1%} |"
        for name, x in _result("behind_extractors").items()
    ]
    prose = (
        "Behind an extractor, keeping the lines that `both` calls `body` or `quote` (F1 of the article by words, "
        "words that the extractor lost counted as lost; 95% interval of the gain by resampling pages):"
    )
    return f"""{_wrap(prose)}

| extractor | alone | with pagelabel | gain | interval | article words lost | other words removed |
|---|---|---|---|---|---|---|
{_lines(rows)}

```sh
python benchmarks/behind_extractors.py --pages ../shared/data/dev.jsonl.gz --views ../shared/data/dev_views.jsonl.gz \\
    --out benchmarks/results
```
"""


def files() -> str:
    through, stream = _result("throughput"), _result("streaming")
    shares = " and ".join(f"{row['share_of_in_memory']:.0%} ({name})" for name, row in through["files"].items())
    reading = f"{through['warc']['share_of_reading']:.0%}"
    memory = [m for m in stream["peak_megabytes_by_tenth_of_the_run"] if m is not None]
    rate = f"{stream['pages_per_second']:,.0f}"
    prose = (
        f"`pagelabel label` over files, `fast` and two workers, gives {shares} of the pages/s of `label_pages` in "
        f"memory. Of the time on a WARC file, {reading} goes into reading it and cutting HTML into blocks. "
        f"{stream['pages']:,} generated pages ({rate} a second) took {memory[1]} MB in the second tenth of the run and "
        f"{memory[-1]} MB in the last."
    )
    return f"""{_wrap(prose)}

```sh
python benchmarks/throughput.py --pages ../shared/data/dev.jsonl.gz --html ../shared/data/html --out benchmarks/results
python benchmarks/streaming.py --out benchmarks/results
```
"""


_CLOSING = (
    "The measured pages are of the public web and not part of this repository; the scripts and what they found are.\n"
)


def _result(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def _wrap(prose: str) -> str:
    return textwrap.fill(prose, 120, break_long_words=False, break_on_hyphens=False)


def _lines(rows: list[str]) -> str:
    return "\n".join(rows)


if __name__ == "__main__":
    main()
