"""Labelling pages with a bundle: numpy, onnxruntime and tokenizers, nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
from tokenizers import Tokenizer

from pagelabel.data.page import Page
from pagelabel.model.bundle import MODEL, TOKENIZER, BundleConfig, read_bundle, shipped_bundle
from pagelabel.model.encoding import Encoder
from pagelabel.model.features import page_features

# Pages are tokenized together up to this many paragraphs: menus come again and again, and each text is read once.
_BATCH_PARAGRAPHS = 2048


class Labeler:
    """Gives every paragraph of a page its label. Make one with `Labeler.load()`; it may be shared between threads.

    Each window of a page is one run of the model, without padding. So a page's labels and scores do not depend on
    which pages are labelled with it: int8 activations are scaled by the run, and would in a shared batch.
    """

    def __init__(self, config: BundleConfig, encoder: Encoder, session: onnxruntime.InferenceSession) -> None:
        self.config = config
        self.encoder = encoder
        self._session = session

    @classmethod
    def load(cls, bundle: str | Path | None = None, *, threads: int | None = None) -> Labeler:
        """Load and verify a bundle: a folder, or the one that ships with the package.

        `threads` is how many cores one run of the model uses; all by default. Use 1 in each of several processes.
        Raises BundleError when the folder is not a complete, unchanged bundle.
        """
        folder = shipped_bundle() if bundle is None else Path(bundle)
        config = read_bundle(folder)
        return cls(config, load_encoder(folder, config), open_session(folder / MODEL, threads))

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, in the order of the logits."""
        return self.config.labels

    def label(self, page: Page | Sequence[str]) -> Page:
        """The page with labels and scores. A list of paragraphs makes a page of its own."""
        return next(self.label_pages([page]))

    def label_pages(self, pages: Iterable[Page | Sequence[str]]) -> Iterator[Page]:
        """Label a stream of pages: order kept, memory bounded by a few thousand paragraphs and the largest page."""
        batch: list[Page] = []
        paragraphs = 0
        for number, item in enumerate(pages):
            page = item if isinstance(item, Page) else _page(item, number)
            batch.append(page)
            paragraphs += len(page.paragraphs)
            if paragraphs >= _BATCH_PARAGRAPHS or len(batch) >= _BATCH_PARAGRAPHS:
                yield from self._label_batch(batch)
                batch, paragraphs = [], 0
        yield from self._label_batch(batch)

    def logits(self, paragraphs: Sequence[str]) -> npt.NDArray[np.float32]:
        """Raw logits of a page's paragraphs, float32 [N, labels]."""
        return self._logits(paragraphs, self.encoder.tokenize(paragraphs))

    def _label_batch(self, pages: list[Page]) -> Iterator[Page]:
        pieces = iter(self.encoder.tokenize([text for page in pages for text in page.paragraphs]))
        for page in pages:
            logits = self._logits(page.paragraphs, [next(pieces) for _ in page.paragraphs])
            labels, scores = self.config.decide(logits)
            yield replace(page, labels=labels, scores=[round(score, 4) for score in scores])

    def _logits(self, paragraphs: Sequence[str], pieces: list[list[int]]) -> npt.NDArray[np.float32]:
        out = np.empty((len(paragraphs), len(self.labels)), dtype=np.float32)
        if not paragraphs:
            return out
        for window in self.encoder.pack(pieces, page_features(paragraphs)):
            feed = {"input_ids": window.ids[None], "features": window.features[None]}
            out[window.start : window.stop] = self._session.run(["logits"], feed)[0][0, window.core_markers]
        return out


def load_encoder(folder: Path, config: BundleConfig) -> Encoder:
    return Encoder(Tokenizer.from_file(str(folder / TOKENIZER)), config.encoding)


def open_session(model: Path, threads: int | None) -> onnxruntime.InferenceSession:
    """An onnxruntime session on the CPU. Its log level is raised to errors: warnings on optimisation are noise here."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def _page(paragraphs: Sequence[str], number: int) -> Page:
    if isinstance(paragraphs, str):
        raise TypeError("a page is a Page or a list of paragraphs, not one string; split it into paragraphs first")
    return Page(str(number), list(paragraphs))
