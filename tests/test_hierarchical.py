import numpy as np
import pytest
import torch

from pagelabel.model.hierarchical import HierarchicalConfig, PageReader, ParagraphReader
from pagelabel.training.fast_examples import padded


def test_padding_and_order_change_no_paragraph() -> None:
    torch.manual_seed(0)
    reader = ParagraphReader(HierarchicalConfig(50, 5, word_size=8, size=12))
    rng = np.random.default_rng(0)
    for count in (1, 2, 7, 40):
        pieces = [rng.integers(1, 50, rng.integers(1, 23)).tolist() for _ in range(count)]
        alone = torch.cat([reader(torch.tensor([piece])) for piece in pieces])
        for order in (range(count), sorted(range(count), key=lambda i: len(pieces[i]))):
            ids, mask = padded([pieces[i] for i in order])
            torch.testing.assert_close(reader(torch.from_numpy(ids), torch.from_numpy(mask)), alone[list(order)])


@pytest.mark.parametrize("local", [False, True])
def test_padding_changes_no_page(local: bool) -> None:
    torch.manual_seed(0)
    reader = PageReader(HierarchicalConfig(50, 5, size=12, local=local)).eval()
    counts = [1, 2, 5, 30]
    vectors, features = torch.randn(4, 30, 12), torch.randn(4, 30, reader.features[0].in_features)
    mask = torch.stack([(torch.arange(30) < count).float() for count in counts])
    padded_logits = reader(vectors, features, mask)
    for i, count in enumerate(counts):
        alone = reader(vectors[i : i + 1, :count], features[i : i + 1, :count])[0]
        torch.testing.assert_close(padded_logits[i, :count], alone, atol=1e-5, rtol=1e-4)


def test_a_local_network_reads_who_stands_where() -> None:
    torch.manual_seed(0)
    vectors, features = torch.randn(1, 1, 12).repeat(1, 20, 1), torch.zeros(1, 20, HierarchicalConfig(50, 5).features)
    vectors[:, [5, 14]] = torch.randn(1, 2, 12)
    # Two paragraphs change places: what stands next to what is as it was, but one comes as near to the first as the
    # other was.
    exchanged = vectors.clone()
    exchanged[:, [5, 14]] = vectors[:, [14, 5]]
    for local, changes in ((False, False), (True, True)):
        reader = PageReader(HierarchicalConfig(50, 5, size=12, local=local)).eval()
        moved = (reader(vectors, features) - reader(exchanged, features))[0, 0].abs().max()
        assert bool(moved > 1e-4) == changes
