"""Steps for datatrove pipelines, on its local, Slurm and Ray executors alike: the model is loaded where they run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pagelabel.data.page import ARTICLE_LABELS, Page
from pagelabel.data.spans import paragraph_spans
from pagelabel.data.streams import TextMode
from pagelabel.engines.core import PageStage, Row, paragraph_at

try:
    from datatrove.data import Document, DocumentsPipeline
    from datatrove.pipeline.base import PipelineStep
    from datatrove.pipeline.filters.base_filter import BaseFilter
    from datatrove.pipeline.writers.disk_base import DiskWriter
    from datatrove.utils.batching import batched
    from datatrove.utils.typeshelper import StatHints
except ModuleNotFoundError as error:
    message = f"pagelabel.engines.datatrove needs {error.name}: pip install 'pagelabel[datatrove]'"
    raise ModuleNotFoundError(message, name=error.name) from error

# Texts are tokenized together; more of them would only be held in memory.
_BATCH = 64


class LabelParagraphs(PipelineStep):
    """Writes the labels, scores and spans of a document's paragraphs into its metadata; the text stays as it is.

    The metadata are `pagelabel_labels`, `pagelabel_scores`, `pagelabel_spans` ([start, end] of each paragraph in
    `text`) and `pagelabel_error`, see `pagelabel.engines.core.Row`. `model` is a bundle that every worker can read.
    """

    type = "🏷 - LABEL"
    name = "pagelabel"

    def __init__(self, model: str | None = None, text_mode: TextMode = "auto") -> None:
        super().__init__()
        self.stage = PageStage(model, text_mode=text_mode)

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        for batch in batched(data, _BATCH):
            with self.track_time("batch"):
                _annotate(self.stage, batch)
            for document in batch:
                self.stat_update(StatHints.total)
                if document.metadata["pagelabel_error"] is not None:
                    self.stat_update("errors")
                for label in document.metadata["pagelabel_labels"] or ():
                    self.stat_update(f"paragraphs_{label}")
                yield document


class KeepParagraphs(BaseFilter):
    """Leaves the paragraphs of the labels `keep` in a document's text, one a line, as `pagelabel label --to text` does.

    Labels and spans come from a LabelParagraphs step, this run's or an earlier one's, if the text has not been changed
    since; a document without them is labelled here. They are cut down to what is kept. A document that has no such
    paragraph, or that could not be labelled, is dropped, and goes unchanged to `exclusion_writer` where there is one.
    """

    name = "pagelabel keep"

    def __init__(
        self,
        keep: Sequence[str] = ARTICLE_LABELS,
        model: str | None = None,
        text_mode: TextMode = "auto",
        exclusion_writer: DiskWriter | None = None,
    ) -> None:
        super().__init__(exclusion_writer, batch_size=_BATCH)
        self.stage = PageStage(model, text_mode=text_mode, keep=keep)

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        # Says at once if a label to keep is unknown.
        self.stage.load()
        yield from super().run(data, rank, world_size)

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        return self.filter_batch([doc])[0]

    def filter_batch(self, batch: list[Document]) -> list[bool | tuple[bool, str]]:
        _annotate(self.stage, [document for document in batch if "pagelabel_spans" not in document.metadata])
        return [self._cut(document) for document in batch]

    def _cut(self, document: Document) -> bool | tuple[bool, str]:
        metadata = document.metadata
        if metadata["pagelabel_error"] is not None:
            return False, "pagelabel_error"
        found = [metadata[name] for name in ("pagelabel_labels", "pagelabel_scores", "pagelabel_spans")]
        kept = [row for row in zip(*found, strict=True) if row[0] in (self.stage.keep or ())]
        if not kept:
            return False, "pagelabel_nothing_kept"
        paragraphs = [paragraph_at(document.text, span) for *_, span in kept]
        document.text = "\n".join(paragraphs)
        labels, scores, _ = zip(*kept, strict=True)
        spans = paragraph_spans(Page(document.id, paragraphs))
        metadata["pagelabel_labels"], metadata["pagelabel_scores"] = list(labels), list(scores)
        metadata["pagelabel_spans"] = [list(span) for span in spans]
        return True


def _rows(stage: PageStage, documents: Sequence[Document]) -> Iterator[Row]:
    return stage.rows((document.text for document in documents), (document.metadata for document in documents))


def _annotate(stage: PageStage, documents: Iterable[Document]) -> None:
    documents = list(documents)
    for document, row in zip(documents, _rows(stage, documents), strict=True):
        row.pop("pagelabel_text", None)
        document.metadata.update(row)
