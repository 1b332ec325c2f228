"""The command line. Heavy packages are imported by the verbs that need them only."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pagelabel import label_command
from pagelabel.commands import finish
from pagelabel.model.bundle import SHIPPED, find_bundle, read_bundle
from pagelabel.model.pair import COST


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (0 done, 1 failed, 2 wrong usage)."""
    args = _parser().parse_args(argv)
    return finish(args.verb, lambda: int(args.run(args)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pagelabel", description="Label every paragraph of a web page.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    label = verbs.add_parser(
        "label", help="label pages: text, HTML, JSON lines, Parquet or WARC in; JSON lines, Parquet, text and more out"
    )
    label_command.add_arguments(label)
    label.set_defaults(run=label_command.run)

    train = verbs.add_parser("train", help="fine-tune a model on labelled pages, an accurate or a fast one")
    train.add_argument(
        "--config",
        required=True,
        help="TOML file, such as training/corpus.toml; of the fast model where it has tables of that, such as [words], "
        "or its base is one",
    )
    train.add_argument("-o", "--output", default="runs/default", help="folder of the run (default: runs/default)")
    train.add_argument("--resume", action="store_true", help="go on with the run in that folder")
    train.set_defaults(run=_train)

    evaluate = verbs.add_parser("evaluate", help="score a bundle on labelled pages")
    evaluate.add_argument("bundle", help=f"bundle folder, or a model that comes with the package: {', '.join(SHIPPED)}")
    evaluate.add_argument("pages", nargs="+", help="labelled pages (JSON lines)")
    evaluate.add_argument("-o", "--output", type=Path, help="folder for evaluation.json and the plots")
    evaluate.add_argument("--threads", type=int, help="cores to use (default: all)")
    evaluate.set_defaults(run=_evaluate)

    export = verbs.add_parser("export", help="turn a checkpoint into a bundle, checked for parity")
    export.add_argument("checkpoint", help="folder that 'pagelabel train' made, such as runs/default/best, or a bundle")
    export.add_argument("-o", "--output", required=True, help="bundle folder to write")
    export.add_argument(
        "--dev", nargs="+", default=[], help="labelled pages for calibration (default: those of the run)"
    )
    export.set_defaults(run=_export)

    pair = verbs.add_parser("pair", help="make one bundle of an accurate and a fast one, whose logits are added")
    pair.add_argument("flat", metavar="accurate", help="bundle folder, or 'accurate'")
    pair.add_argument("fast", help="bundle folder of a fast model, or 'fast'")
    pair.add_argument("-o", "--output", required=True, help="bundle folder to write")
    pair.add_argument("--dev", nargs="+", required=True, help="labelled pages, on which decisions are fitted")
    pair.add_argument("--beside", action="store_true", help="name the bundles where they are instead of copying them")
    pair.add_argument(
        "--cost",
        type=float,
        default=COST,
        help="macro-F1 and accuracy that may be lost for speed: more lets the fast one be alone more often "
        "(default: %(default)s)",
    )
    pair.set_defaults(run=_pair)

    info = verbs.add_parser("info", help="what a bundle is: labels, settings, scores, where it came from")
    info.add_argument("bundle", nargs="?", help="bundle folder (default: the model that comes with the package)")
    info.set_defaults(run=_info)

    check = verbs.add_parser("check", help="check a bundle against its own reference pages")
    check.add_argument("bundle", nargs="?", help="bundle folder (default: the model that comes with the package)")
    check.set_defaults(run=_check)
    return parser


def _train(args: argparse.Namespace) -> int:
    from pagelabel.training.fast_config import is_fast_config

    if is_fast_config(args.config):
        from pagelabel.training.fast import run

        return run(args.config, args.output, resume=args.resume)
    from pagelabel.training.config import load_config
    from pagelabel.training.run_folder import leads
    from pagelabel.training.train import train

    best = train(load_config(args.config), args.output, resume=args.resume)
    if leads():
        print(best)
    return 0


def _evaluate(args: argparse.Namespace) -> int:
    if args.threads is not None and args.threads < 1:
        print(f"pagelabel: --threads should be at least 1, found {args.threads}", file=sys.stderr)
        return 2
    from pagelabel.training.evaluate import evaluate

    print(evaluate(args.bundle, args.pages, args.output, threads=args.threads).to_text())
    return 0


def _export(args: argparse.Namespace) -> int:
    from pagelabel.training.fast_config import is_fast_model

    if is_fast_model(args.checkpoint):
        from pagelabel.export.fast import export_fast

        print(export_fast(args.checkpoint, args.output, dev=args.dev))
    else:
        from pagelabel.export.export import export

        print(export(args.checkpoint, args.output, dev=args.dev))
    return 0


def _pair(args: argparse.Namespace) -> int:
    from pagelabel.export.pair import export_pair

    print(export_pair(args.flat, args.fast, args.output, dev=args.dev, beside=args.beside, cost=args.cost))
    return 0


def _info(args: argparse.Namespace) -> int:
    folder = find_bundle(args.bundle)
    config = read_bundle(folder)
    print(f"bundle       {folder}")
    print(f"network      {config.network}")
    print(f"labels       {', '.join(config.labels)}")
    print(f"encoding     {json.dumps(config.encoding.to_dict())}")
    print(f"temperature  {config.temperature}")
    print(f"transitions  {'yes' if config.transitions else 'none'}")
    print(f"thresholds   {config.thresholds or 'none'}")
    for name, scores in config.provenance.get("metrics", {}).items():
        print(f"scores       {name}: {json.dumps(scores)}")
    for name, digest in config.sha256.items():
        print(f"sha256       {digest}  {name}")
    return 0


def _check(args: argparse.Namespace) -> int:
    from pagelabel.check import check_bundle

    check = check_bundle(args.bundle)
    print(
        f"{check.pages} reference pages, {check.paragraphs} paragraphs, {check.agreement:.1%} labelled as the reference"
    )
    for problem in check.problems:
        print(f"pagelabel: {problem}", file=sys.stderr)
    return 1 if check.problems else 0


if __name__ == "__main__":
    sys.exit(main())
