"""Labels of a page as one sequence: what a paragraph is depends on what its neighbours are.

The most probable sequence under a chain of labels (Viterbi, 1967, https://doi.org/10.1109/TIT.1967.1054010).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def best_path(scores: npt.NDArray[np.float64], transitions: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The labels [N] whose sum of `scores` [N, L] and of `transitions` [L, L] (from a paragraph's label, in rows, to
    the next one's) is largest. A score may be -inf. Time is linear in N."""
    path = scores.argmax(axis=1)
    if len(scores) < 2 or not transitions.any():
        return np.asarray(path)
    # No two neighbours can make up for a lead as large as this: most paragraphs are decided without looking at them.
    swing = float(np.ptp(transitions, axis=1).max() + np.ptp(transitions, axis=0).max())
    ordered = np.sort(scores, axis=1)
    open_ = np.flatnonzero(~(ordered[:, -1] - ordered[:, -2] > swing))
    if not len(open_):
        return np.asarray(path)
    for run in np.split(open_, np.flatnonzero(np.diff(open_) > 1) + 1):
        first, last = int(run[0]), int(run[-1])
        part = scores[first : last + 1].copy()
        if first:
            part[0] += transitions[path[first - 1]]
        if last + 1 < len(scores):
            part[-1] += transitions[:, path[last + 1]]
        path[first : last + 1] = _viterbi(part, transitions)
    return np.asarray(path)


def _viterbi(scores: npt.NDArray[np.float64], transitions: npt.NDArray[np.float64]) -> list[int]:
    best = scores[0]
    arrows = []
    for row in scores[1:]:
        sums = best[:, None] + transitions
        came = sums.argmax(axis=0)
        arrows.append(came)
        best = sums[came, np.arange(len(came))] + row
    path = [int(best.argmax())]
    for came in reversed(arrows):
        path.append(int(came[path[-1]]))
    return path[::-1]
