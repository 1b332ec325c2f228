"""The accurate model: windows of word pieces through one graph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
from tokenizers import Tokenizer

from pagelabel.data.page import Page
from pagelabel.model.bundle import MODEL, TOKENIZER
from pagelabel.model.encoding import Encoder, EncodingConfig, Wanted
from pagelabel.sessions import open_session

Logits = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]


class FlatModel:
    """Each window of a page is one run, without padding. So a page's logits do not depend on which pages are labelled
    with it: int8 activations are scaled by the run, and would in a shared batch."""

    def __init__(self, encoder: Encoder, session: onnxruntime.InferenceSession) -> None:
        self.encoder = encoder
        self._session = session

    @classmethod
    def load(cls, folder: Path, encoding: EncodingConfig, threads: int | None) -> FlatModel:
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        return cls(Encoder(tokenizer, encoding), open_session(folder / MODEL, threads))

    @property
    def join_lines(self) -> bool:
        """Whether it is to be given pages whose lines are joined, see `pagelabel.model.lines`."""
        return self.encoder.config.join_lines

    def with_context(self, tokens: int) -> FlatModel:
        """The same model, whose windows overlap by `tokens` on both sides."""
        return FlatModel(self.encoder.with_context(tokens), self._session)

    def logits(self, pages: Sequence[Page]) -> list[Logits]:
        """Logits [N, labels] of each page's paragraphs; each distinct paragraph text is tokenized once."""
        return [logits for _, logits in self.read(pages, [None] * len(pages))]

    def read(self, pages: Sequence[Page], wanted: Sequence[Wanted | None]) -> Iterator[tuple[Places, Logits]]:
        """Of each page the places [K] of the paragraphs that were read, in order, and their logits [K, labels]: all
        paragraphs, or those `wanted` (bool [N]) and what lies between (`Encoder.spans`)."""
        pieces = iter(self.encoder.tokenize([text for page in pages for text in page.paragraphs]))
        for page, some in zip(pages, wanted, strict=True):
            yield self._page(page, [next(pieces) for _ in page.paragraphs], some)

    def encoded(self, page: Page) -> list[list[int]]:
        """Token ids of each window of a page: what a port must get, too."""
        return [window.ids.tolist() for window in self.encoder.windows(page)]

    def _page(self, page: Page, pieces: list[list[int]], wanted: Wanted | None) -> tuple[Places, Logits]:
        places, rows = [], []
        for window in self.encoder.pack(page, pieces, wanted):
            feed = {"input_ids": window.ids[None], "features": window.features[None]}
            places.append(np.arange(window.start, window.stop))
            rows.append(self._session.run(["logits"], feed)[0][0, window.core_markers])
        return np.concatenate(places), np.concatenate(rows)
