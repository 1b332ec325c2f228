"""The model card of a bundle, written from what was measured at export."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pagelabel.model.bundle import FLAT, HIERARCHICAL, BundleConfig
from pagelabel.model.features import reads_links
from pagelabel.model.labels import LABELS
from pagelabel.model.pair import Pair
from pagelabel.training.evaluate import Evaluation
from pagelabel.training.fast_soup import FAST_MEAN
from pagelabel.training.report import GroupScore
from pagelabel.training.run_folder import HELD_OUT
from pagelabel.training.soup import mean_name, run_name

_INTRO = """It reads the paragraph among its neighbours, as plain text; markup is not needed.{about}

Files: {files}, `config.json` (labels in the order of the logits, encoding, temperature, transitions, thresholds,
sha256, provenance), `reference.jsonl` (pages with ids, features, logits and labels, for `pagelabel check` and for ports
to other languages).
"""
_OTHER_LIMITS = """## Limits

Other pages than those above were not measured. Use scores (`--min-score`) where a wrong label costs more than none.
"""
_FILES = {
    FLAT: "`model.onnx` (int8), `tokenizer.json`",
    HIERARCHICAL: "`paragraphs.onnx` (word table in int8) and `page.onnx` (int8), `words.txt`",
}
_SETTINGS = "All settings are in `config.json`, those of training under `provenance`."
_ABOUT = {"title": "title", "url": "address"}

_LIMITS = """## Limits

English, mostly news pages; other languages were not measured. Pages that are not articles (forums, shops, section
pages) are rarer in the training data and score lower, see the scores by kind. `donation` and `quote` are rare: their
scores vary most between samples. Labels of most real training pages come from one annotation pass, a few of which were
corrected. Behind an extractor the menus and headings that tell furniture from article are gone: see the scores by view,
and use scores (`--min-score`) where a wrong label costs more than none.

Known failures: cards of a listing page taken for `body`, above all where its menus are gone; a paragraph about money
right behind a donation box inside an article taken for `donation`; quotes without marks taken for `body`.
"""


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def model_card(config: BundleConfig, evaluations: dict[str, Evaluation]) -> str:
    """Markdown: recipe, scores by set, label, kind and view, calibration, parity and the commands that made them."""
    assert not isinstance(config.encoding, Pair)
    files = _FILES[config.network]
    known = [f"the page's {_ABOUT[name]}" for name in config.encoding.about]
    if reads_links(config.encoding.features):
        known.append("how much of each paragraph lies in links")
    read = f" Where they are known, it reads {_and(known)}, too." if known else ""
    parts = [opening(config.labels) + _INTRO.format(files=files, about=read)]
    for name, evaluation in evaluations.items():
        parts.append(score_section(name, evaluation, unseen=name in held_out(config)))
    flat = config.network == FLAT
    parts += [_parity(config), _recipe(config)] if flat else [_fast_parity(config), _fast_recipe(config)]
    parts.append(limits(config.labels))
    return "\n".join(parts)


def opening(labels: Sequence[str]) -> str:
    """What every model does."""
    guide = " They are defined in pagelabel's label guide,\n`data/label-guide.md`." if labels == LABELS else ""
    names = ", ".join(f"`{label}`" for label in labels)
    return f"# pagelabel model\n\nGives every paragraph of a web page one label of:\n{names}.{guide}\n"


def limits(labels: Sequence[str]) -> str:
    """What is known to go wrong, where the labels are the project's own."""
    return _LIMITS if labels == LABELS else _OTHER_LIMITS


def held_out(config: BundleConfig) -> set[str]:
    """The files that training was told to keep for scoring; of others it is not known what training saw of them."""
    dev = config.provenance["checkpoint"]["training"]["data"]["dev"]
    return {Path(file).name for file in dev} or {HELD_OUT}


def score_section(name: str, evaluation: Evaluation, *, unseen: bool) -> str:
    """Scores on the set `name`, whose sites training has not seen or was fitted to."""
    report = evaluation.all
    low, high = report.macro_interval
    lines = [
        f"## Scores on `{name}`",
        "",
        f"{report.pages:,} pages, {report.paragraphs:,} paragraphs"
        f"{', sites that training never saw' if unseen else ', on which it was fitted'}. "
        f"Macro-F1 **{report.macro_f1:.3f}** (95% interval by resampling pages {low:.3f} to {high:.3f}), "
        f"accuracy {report.accuracy:.3f}.",
    ]
    if report.article is not None:
        article = report.article
        lines.append(
            f"Article (body and quote) against the rest, by words: F1 {article.f1:.3f}, precision "
            f"{article.precision:.3f}, recall {article.recall:.3f}."
        )
    if report.calibration is not None:
        lines.append(f"Expected calibration error {report.calibration.error:.3f}.")
    if evaluation.without_doubt is not None:
        sure = evaluation.without_doubt
        lines.append(
            f"Without paragraphs that annotation was unsure of: macro-F1 {sure.macro_f1:.3f}, "
            f"accuracy {sure.accuracy:.3f}."
        )
    rows = [(s.label, f"{s.precision:.3f}", f"{s.recall:.3f}", f"{s.f1:.3f}", f"{s.support:,}") for s in report.labels]
    lines += ["", *_table(("label", "precision", "recall", "F1", "paragraphs"), rows)]
    for title, groups in (("kind of page", evaluation.by_kind), ("view", evaluation.by_view)):
        if groups:
            lines += ["", *_table((title, "pages", "paragraphs", "macro-F1", "accuracy"), _group_rows(groups))]
    kept = [
        (f"{r.min_score:.2f}", f"{r.coverage:.1%}", _number(r.accuracy), _number(r.macro_f1))
        for r in evaluation.coverage
    ]
    lines += ["", "Labels with at least a given score:", ""]
    lines += _table(("least score", "paragraphs kept", "accuracy", "macro-F1"), kept)
    return "\n".join(lines) + "\n"


def _group_rows(groups: dict[str, GroupScore]) -> list[tuple[str, ...]]:
    return [
        (
            "not stated" if key == "none" else key,
            f"{g.pages:,}",
            f"{g.paragraphs:,}",
            f"{g.macro_f1:.3f}",
            f"{g.accuracy:.3f}",
        )
        for key, g in groups.items()
    ]


def _parity(config: BundleConfig) -> str:
    p = config.provenance["parity"]
    note = ""
    if p["from_bundle"]:
        note = "\nThe weights are those of an int8 bundle: what int8 weights lose, fp32 has lost here, too."
    return f"""## Parity

On {p["pages"]} pages ({p["paragraphs"]:,} paragraphs): token ids identical; fp32 ONNX against torch (first
{p["torch_pages"]} pages) max |Δlogit| {p["fp32_logits"]:.1e}, labels equal; int8 against fp32:
{p["int8_agreement"]:.2%} of labels agree, macro-F1 {p["int8_macro_f1"]:.4f} against {p["fp32_macro_f1"]:.4f}.{note}
"""


def _fast_parity(config: BundleConfig) -> str:
    p = config.provenance["parity"]
    note = " The weights are those of an int8 bundle." if p["from_bundle"] else ""
    return f"""## Parity

On {p["pages"]} pages ({p["paragraphs"]:,} paragraphs) against torch in fp32: {p["agreement"]:.2%} of labels agree, max
|Δlogit| {p["logits"]:.1e}.{note}
"""


def decisions(config: BundleConfig) -> str:
    """What is decided by more than the logits, in words."""
    return (
        f"Temperature {config.temperature}, thresholds {config.thresholds or 'none'}, "
        f"{'weights for labels behind each other' if config.transitions else 'no transitions'}, "
        "fitted on the dev files."
    )


def _fast_recipe(config: BundleConfig) -> str:
    checkpoint: dict[str, Any] | None = config.provenance["checkpoint"]
    sizes = ", ".join(f"{key} {value}" for key, value in config.provenance["checkpoint"]["sizes"].items())
    stages: list[dict[str, Any]] = []
    while checkpoint:
        stages.insert(0, checkpoint)
        checkpoint = checkpoint.get("start")
    commands, told, means = [], [], 0
    last = ""
    for stage in stages:
        name = stage["training"]["name"]
        commands.append(f"pagelabel train --config training/{name}.toml -o runs/{name}")
        last = run_name(stage)
        told.append(_fast_stage(stage["training"]))
        if averaged := stage.get("averaged"):
            means += 1
            names, last = (*averaged, last), mean_name(means, FAST_MEAN)
            folders = " ".join(_run(name) for name in names)
            commands.append(f"python -m pagelabel.training.fast_soup {folders} -o runs/{last}/best")
            told[-1] += f" Of their weights the mean: {', '.join(names)}."
    commands.append(f"pagelabel export {_run(last)} -o model/fast")
    if config.provenance["parity"]["from_bundle"]:
        commands.append(f"pagelabel export model/fast --dev {' '.join(config.provenance['metrics'])} -o another")
    return f"""## Recipe

{" Then ".join(told)} Sizes: {sizes}.

{decisions(config)} {_SETTINGS}

Made with:

```
{chr(10).join(commands)}
```
"""


def _run(name: str) -> str:
    """The folder of a checkpoint, by what `pagelabel.training.soup.name_of` calls it."""
    return f"runs/{name}" if "/" in name else f"runs/{name}/best"


def _fast_stage(training: dict[str, Any]) -> str:
    first = f"{training['optim']['sentence_epochs']} epochs of a sentence encoder's vectors of paragraphs, then "
    if training.get("base") or not training["sentences"]:
        first = ""
    share = training["optim"].get("teacher_share", 0)
    taught = (
        f" (of each target, {share:.0%} is what the accurate model says, where it has read the page)"
        if training.get("probabilities")
        else ""
    )
    taught += " and the accurate model's states" if training.get("states") else ""
    epochs = training["optim"]["epochs"]
    return (
        f"`training/{training['name']}.toml`: {first}{epochs} epochs of the labelled pages and their views{taught}; "
        f"seed {training['seed']}."
    )


def _recipe(config: BundleConfig) -> str:
    stages: list[dict[str, Any]] = []
    checkpoint: dict[str, Any] | None = config.provenance["checkpoint"]
    while checkpoint:
        stages.insert(0, checkpoint)
        checkpoint = checkpoint.get("start")
    rows = []
    commands = []
    means: list[str] = []
    start = stages[0]["training"]["base"]
    for stage in stages:
        training = stage["training"]
        rate, epochs = training["optim"]["encoder_rate"], training["optim"]["epochs"]
        minutes = f"{stage['seconds'] / 60:.0f}"
        pages = f"{stage['pages']['train']:,}"
        rows.append((training["name"], start, str(training["seed"]), str(epochs), f"{rate:g}", pages, minutes))
        start = training["name"]
        command = f"train --config training/{training['name']}.toml -o runs/{training['name']}"
        several = f"torchrun --nproc-per-node {stage.get('processes')} -m pagelabel"
        commands.append(f"{several if stage.get('processes', 1) > 1 else 'pagelabel'} {command}")
        if stage.get("averaged"):
            averaged = [*stage["averaged"], start]
            # A run beside the last one, from the same start.
            known = [row[0] for row in rows] + [mean_name(i) for i in range(1, len(means) + 1)]
            others = [name for name in stage["averaged"] if name not in known]
            commands += [f"pagelabel train --config training/{name}.toml -o runs/{name}" for name in others]
            start = mean_name(len(means) + 1)
            means.append(f"`{start}` is the mean of the weights of {', '.join(averaged)}.")
            folders = " ".join(f"runs/{name}/best" for name in averaged)
            commands.append(f"python -m pagelabel.training.soup {folders} -o runs/{start}/best")
    files = {name: digest for stage in stages for name, digest in stage["data"].items()}
    exports = [f"pagelabel export runs/{start}/best -o model/bundle"]
    measured = list(config.provenance["metrics"])
    dev = "" if set(measured) == held_out(config) else f" --dev {' '.join(measured)}"
    if config.provenance["parity"]["from_bundle"]:
        exports.append(f"pagelabel export model/bundle{dev} -o another")
    else:
        exports[0] += dev
    lines = [
        "## Recipe",
        "",
        *_table(("config", "starts from", "seed", "epochs", "rate", "pages and views, repeats too", "minutes"), rows),
        "",
        *([" ".join(means), ""] if means else []),
        f"{decisions(config)} {_SETTINGS}",
        "",
        *_table(("file", "sha256"), [(name, f"{digest[:16]}…") for name, digest in files.items()]),
        "",
        "Made with (how the files of `runs/` are made is in `training/README.md`):",
        "",
        "```",
        *commands,
        *exports,
        *[f"pagelabel evaluate model/bundle {name}" for name in config.provenance["metrics"]],
        "```",
    ]
    return "\n".join(lines) + "\n"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
