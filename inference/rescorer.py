"""What follows a model where its bundle has a rescorer: a page's logits, read beside each other once more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from pagelabel.model.bundle import RESCORER
from pagelabel.sessions import open_session


class Rescorer:
    """The graph of `pagelabel.model.rescorer`."""

    def __init__(self, folder: Path, threads: int | None) -> None:
        self._session = open_session(folder / RESCORER, threads)

    def __call__(self, logits: npt.NDArray[np.float32], features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Logits [N, labels] of a model's logits [N, labels] and the features [N, F] of the paragraphs."""
        return np.asarray(self._session.run(["rescored"], {"logits": logits, "features": features})[0])
