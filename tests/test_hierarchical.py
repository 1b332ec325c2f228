import numpy as np
import torch

from pagelabel.model.hierarchical import HierarchicalConfig, ParagraphReader
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
