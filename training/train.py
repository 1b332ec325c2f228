"""Fine-tune the page network on labelled pages with Hugging Face `Trainer`."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import accuracy_score, f1_score
from tokenizers import Tokenizer
from torch.utils.data import SequentialSampler
from transformers import EvalPrediction, PrinterCallback, Trainer, TrainingArguments, set_seed

from pagelabel.data.splits import split_by_site
from pagelabel.model.bundle import sha256
from pagelabel.model.checkpoint import Checkpoint, save_checkpoint
from pagelabel.model.encoding import Encoder, EncodingConfig
from pagelabel.model.features import feature_names
from pagelabel.training.base import load_start
from pagelabel.training.callbacks import Clock, Patience, Reporter
from pagelabel.training.config import TrainingConfig
from pagelabel.training.dropout import share_dropout
from pagelabel.training.examples import (
    IGNORED,
    Windows,
    collate,
    evaluation_plan,
    tokenized,
    training_plan,
)
from pagelabel.training.listings import listing_pages
from pagelabel.training.pages import check_pages, load_pages, one_view
from pagelabel.training.precision import compile_network, half_precision
from pagelabel.training.run_folder import commit, digests, guard, keep, last_state, leads, processes, write_config
from pagelabel.training.wrapping import as_read

_METRIC = "eval_macro_f1"


class PageTrainer(Trainer):  # type: ignore[misc]
    """Trainer with a weighted loss at the markers, two learning rates, and the plan's own order."""

    def __init__(self, config: TrainingConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._config = config
        weights = config.optim.class_weights or [1.0] * len(config.labels)
        self._class_weights = torch.tensor(weights)
        self._bf16 = half_precision()

    def compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, **_: Any) -> Any:
        with torch.autocast("cpu", torch.bfloat16, enabled=self._bf16):
            logits = model(inputs["input_ids"], inputs["features"], inputs["attention_mask"])
        logits = logits.float()
        chosen = inputs["labels"] != IGNORED
        labels = inputs["labels"][chosen]
        losses = torch.nn.functional.cross_entropy(
            logits[chosen], labels, reduction="none", label_smoothing=self._config.optim.label_smoothing
        )
        weights = inputs["weights"][chosen] * self._class_weights.to(labels.device)[labels]
        loss = (losses * weights).sum() / weights.sum().clamp_min(1e-6)
        return (loss, {"logits": logits}) if return_outputs else loss

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        optim = self._config.optim
        groups: dict[tuple[bool, bool], list[torch.nn.Parameter]] = {}
        for name, parameter in self.model.named_parameters():
            groups.setdefault((name.startswith("encoder."), parameter.ndim > 1), []).append(parameter)
        self.optimizer = torch.optim.AdamW(
            [
                {
                    "params": parameters,
                    "lr": optim.encoder_rate if encoder else optim.head_rate,
                    "weight_decay": optim.weight_decay if matrix else 0.0,
                }
                for (encoder, matrix), parameters in groups.items()
            ],
            fused=True,
        )
        return self.optimizer

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return SequentialSampler(self.train_dataset)


def _scores(prediction: EvalPrediction) -> dict[str, float]:
    chosen = prediction.label_ids != IGNORED
    gold, given = prediction.label_ids[chosen], prediction.predictions[chosen]
    return {
        "macro_f1": float(f1_score(gold, given, labels=np.unique(gold), average="macro", zero_division=0)),
        "accuracy": float(accuracy_score(gold, given)),
    }


def train(config: TrainingConfig, output: str | Path, *, resume: bool = False) -> Path:
    """Train as `config` says into folder `output`; returns the folder of the best checkpoint, `output/best`.

    With `resume`, goes on at the last state saved in `output/state`: same data, config and seed give the same
    result as a run that was never stopped. Of several processes (`torchrun --nproc-per-node 2 -m pagelabel train ...`)
    each takes `batch_windows` windows a step. Raises ValueError on data or settings that do not fit.
    """
    output = Path(output)
    if leads():
        data = digests(config.data)
        guard(output, config, resume, data)
    if config.optim.threads:
        torch.set_num_threads(config.optim.threads)
    set_seed(config.seed)
    start = load_start(config.base, config.labels, config.layers, config.seed)
    network, tokenizer = start.network, start.tokenizer
    encoding = _encoding(config, tokenizer, start.info)
    positions = network.encoder.config.max_position_embeddings
    if encoding.window_tokens > positions:
        raise ValueError(f"encoding.window_tokens is {encoding.window_tokens}, the encoder has {positions} positions")
    pages = load_pages(config.data.train, config.labels, config.data.corrections)
    if config.data.dev:
        dev = load_pages(config.data.dev, config.labels)
    else:
        pages, dev = split_by_site(pages, config.data.dev_share, config.seed)
    check_pages(pages, dev, config.data, config.labels)
    if config.augment.listings:
        pages = pages + listing_pages(pages, config.augment.listings, config.seed, config.labels)
    share_dropout(network.encoder, config.optim.dropout)
    if config.optim.compile:
        compile_network(network, network.encoder)
    network.widen(len(encoding.features))
    encoder = Encoder(tokenizer, encoding)
    pages = as_read(pages, join=encoding.join_lines, wrap=config.augment.wrap_lines, seed=config.seed)
    dev = as_read(dev, join=encoding.join_lines)
    rows = tokenized(pages, encoder, config.labels, config.optim.doubt_weight)
    dev_rows = tokenized(one_view(dev), encoder, config.labels, 1.0)
    plan = training_plan(rows, encoder, config)
    if leads():
        print(
            f"{len(pages)} training pages, {len(dev)} dev pages, {len(plan)} windows in {config.optim.epochs} epochs, "
            f"{sum(example.tokens for example in plan)} tokens",
            file=sys.stderr,
        )
        output.mkdir(parents=True, exist_ok=True)
        dev_files = list(config.data.dev) or [keep(dev, output, resume=resume)]
        write_config(output, config, data)
    clock = Clock()
    trainer = PageTrainer(
        config,
        model=network,
        args=_arguments(output, config, steps=-(-len(plan) // (config.optim.batch_windows * processes()))),
        data_collator=collate,
        train_dataset=Windows(rows, plan, encoder, config.augment.mask_tokens, config.seed),
        eval_dataset=Windows(dev_rows, evaluation_plan(dev_rows, encoder), encoder),
        compute_metrics=_scores,
        preprocess_logits_for_metrics=lambda logits, _: logits.argmax(-1),
        callbacks=[Patience(config.optim.patience), clock],
    )
    if trainer.pop_callback(PrinterCallback) is not None:
        # It printed to stdout, which is for the folder of the result.
        trainer.add_callback(Reporter)
    trainer.train(resume_from_checkpoint=last_state(output) if resume else None)
    if not leads():
        return output / "best"
    best = {name.removeprefix("eval_"): value for name, value in _best(trainer).items()}
    info = {
        "labels": list(config.labels),
        "encoding": encoding.to_dict(),
        "encoder": network.encoder.config.to_dict(),
        "start": start.info,
        "training": config.to_dict(),
        "data": {**dict(data), **{Path(file).name: sha256(Path(file)) for file in dev_files}},
        "dev": dev_files,
        "pages": {"train": len(pages), "dev": len(dev)},
        "metrics": best,
        "seconds": round(clock.seconds),
        "processes": processes(),
        "precision": "bfloat16" if torch.cuda.is_available() or half_precision() else "float32",
        "commit": commit(),
    }
    save_checkpoint(output / "best", Checkpoint(network, tokenizer, info))
    return output / "best"


def _encoding(config: TrainingConfig, tokenizer: Tokenizer, start: dict[str, Any] | None) -> EncodingConfig:
    known = EncodingConfig.from_dict(start["encoding"]) if start else EncodingConfig()
    given = {name: value for name, value in asdict(config.encoding).items() if value is not None}
    if (links := given.pop("links", None)) is not None:
        given["features"] = feature_names(links)

    def special(token: str) -> int:
        found = tokenizer.token_to_id(token)
        if found is None:
            raise ValueError(f"base {config.base!r}: its tokenizer has no {token}; choose a BERT-style encoder")
        return found

    return replace(
        known,
        **given,
        cls_id=special("[CLS]"),
        sep_id=special("[SEP]"),
        mask_id=special("[MASK]"),
        marker_id=special("[unused0]"),
    )


def _arguments(output: Path, config: TrainingConfig, steps: int) -> TrainingArguments:
    optim = config.optim
    interval = max(1, steps // max(1, optim.evaluations))
    return TrainingArguments(
        output_dir=str(output / "state"),
        # The plan holds all epochs, so the trainer passes over it once.
        num_train_epochs=1,
        per_device_train_batch_size=optim.batch_windows,
        per_device_eval_batch_size=optim.batch_windows,
        learning_rate=optim.encoder_rate,
        lr_scheduler_type="linear",
        warmup_steps=int(optim.warmup * steps),
        max_grad_norm=1.0,
        eval_strategy="steps",
        eval_steps=interval,
        save_strategy="steps",
        save_steps=interval,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model=_METRIC,
        greater_is_better=True,
        # Else a resumed run forgets how long early stopping has waited.
        restore_callback_states_from_checkpoint=True,
        logging_steps=min(50, interval),
        label_names=["labels"],
        remove_unused_columns=False,
        report_to=_trackers(),
        seed=config.seed,
        ddp_backend="gloo" if processes() > 1 and not torch.cuda.is_available() else None,
        ddp_find_unused_parameters=False if processes() > 1 else None,
        use_cpu=not torch.cuda.is_available(),
        bf16=torch.cuda.is_available(),
        disable_tqdm=not sys.stderr.isatty(),
    )


def _trackers() -> list[str]:
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        return []
    return ["tensorboard"]


def _best(trainer: Trainer) -> dict[str, float]:
    logs = [log for log in trainer.state.log_history if _METRIC in log]
    best = max(logs, key=lambda log: log[_METRIC])
    return {name: best[name] for name in (_METRIC, "eval_accuracy", "step")}
