"""The three levels of parity that a bundle must reach on real pages before it is written.

1. token ids of the bundle's tokenizer are those of the checkpoint's;
2. the fp32 graph gives torch's logits to 1e-4, and its labels;
3. int8 agrees with fp32 on labels and macro-F1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import f1_score

from pagelabel.data.page import Page
from pagelabel.flat import Logits
from pagelabel.labeler import Labeler
from pagelabel.model.encoding import Encoder
from pagelabel.model.network import PageNetwork

# On fewer paragraphs a few labels are more than the tolerances: what may be chance is allowed for.
_FEW = 1000


def agrees(same: int, total: int, share: float) -> bool:
    """Whether `same` of `total` labels are at least `share` of them; of few, whether they may be as many by chance: no
    more than two standard errors fewer."""
    slack = 2 * sqrt(total * share * (1 - share)) if total < _FEW else 0
    return same >= total * share - slack


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Logits are in natural-log units; agreement and macro-F1 are shares."""

    fp32_logits: float = 1e-4
    int8_agreement: float = 0.97
    int8_macro_f1: float = 0.005


@dataclass(frozen=True, slots=True)
class Parity:
    """What was measured. `int8_agreement` is the share of paragraphs with the same label as in fp32; `int8_worse` and
    `int8_better` are how many have the right label in fp32 alone, and in int8 alone."""

    pages: int
    paragraphs: int
    torch_pages: int
    fp32_logits: float
    fp32_labels_equal: bool
    int8_logits: float
    int8_agreement: float
    fp32_macro_f1: float
    int8_macro_f1: float
    int8_worse: int
    int8_better: int

    def failures(self, tolerance: Tolerance) -> list[str]:
        """What is out of tolerance, in words; empty when the bundle may ship."""
        out = []
        few = "" if self.paragraphs >= _FEW else f" (of {self.paragraphs} paragraphs: more --dev pages tell it surer)"
        # Written so that NaN, which no comparison is true for, fails.
        if not self.fp32_logits <= tolerance.fp32_logits:
            out.append(f"fp32 logits differ from torch by {self.fp32_logits:.2g}, allowed {tolerance.fp32_logits:.2g}")
        if not self.fp32_labels_equal:
            out.append("fp32 labels differ from torch")
        if not agrees(round(self.int8_agreement * self.paragraphs), self.paragraphs, tolerance.int8_agreement):
            out.append(
                f"int8 labels agree with fp32 on {self.int8_agreement:.2%}, "
                f"at least {tolerance.int8_agreement:.0%} needed{few}"
            )
        if self.fp32_macro_f1 - self.int8_macro_f1 > tolerance.int8_macro_f1 and not self._by_chance:
            out.append(
                f"int8 macro-F1 is {self.int8_macro_f1:.4f}, fp32 {self.fp32_macro_f1:.4f}: "
                f"more than {tolerance.int8_macro_f1} lost{few}"
            )
        return out

    @property
    def _by_chance(self) -> bool:
        """Whether, of few paragraphs, int8 may be as right as fp32 (McNemar 1947, https://doi.org/10.1007/BF02295996:
        no more than two standard errors from it)."""
        worse, better = self.int8_worse, self.int8_better
        return self.paragraphs < _FEW and worse - better <= 2 * sqrt(worse + better)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def same_tokens(ours: Encoder, theirs: Encoder, pages: Sequence[Page]) -> str | None:
    """Id of the first page whose windows differ in any token id, or None."""
    for page in pages:
        a, b = ([w.ids.tolist() for w in encoder.windows(page)] for encoder in (ours, theirs))
        if a != b:
            return page.id
    return None


def torch_logits(network: PageNetwork, encoder: Encoder, page: Page) -> Logits:
    """Logits of a page's paragraphs from torch, float32 [N, labels]: what every other form is compared to."""
    rows = [np.empty((0, network.head.out_features), dtype=np.float32)]
    with torch.inference_mode():
        for window in encoder.windows(page):
            logits = network(torch.from_numpy(window.ids[None]), torch.from_numpy(window.features[None]))
            rows.append(logits[0, torch.from_numpy(window.core_markers)].numpy())
    return np.concatenate(rows)


def measure(
    network: PageNetwork,
    fp32: Labeler,
    encoder: Encoder,
    pages: Sequence[Page],
    int8_logits: Logits,
    torch_pages: int,
) -> Parity:
    """Compare torch (on the first `torch_pages`), fp32 ONNX and int8 logits of `pages`."""
    gold = np.array([fp32.labels.index(label) for page in pages for label in page.labels or ()])
    by_page = [fp32.logits(page) for page in pages]
    reference = np.concatenate([torch_logits(network, encoder, page) for page in pages[:torch_pages]])
    start = np.concatenate(by_page[:torch_pages])
    fp32_logits = np.concatenate(by_page)
    labels, quantised = fp32_logits.argmax(axis=1), int8_logits.argmax(axis=1)

    def macro(given: npt.NDArray[np.int64]) -> float:
        return float(f1_score(gold, given, average="macro", labels=np.unique(gold), zero_division=0))

    return Parity(
        pages=len(pages),
        paragraphs=len(gold),
        torch_pages=min(torch_pages, len(pages)),
        fp32_logits=float(np.abs(reference - start).max()),
        fp32_labels_equal=bool((reference.argmax(axis=1) == start.argmax(axis=1)).all()),
        int8_logits=float(np.abs(fp32_logits - int8_logits).max()),
        int8_agreement=float((labels == quantised).mean()),
        fp32_macro_f1=macro(labels),
        int8_macro_f1=macro(quantised),
        int8_worse=int(((labels == gold) & (quantised != gold)).sum()),
        int8_better=int(((labels != gold) & (quantised == gold)).sum()),
    )
