"""Labels of a page as one sequence: what a paragraph is depends on what its neighbours are.

The most probable sequence under a chain of labels (Viterbi, 1967, https://doi.org/10.1109/TIT.1967.1054010).
"""

from __future__ import annotations

from math import inf

import numpy as np
import numpy.typing as npt

# Labels that a paragraph may have, each with a score.
_Labels = list[tuple[int, float]]


def best_path(scores: npt.NDArray[np.float64], transitions: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The labels [N] whose sum of `scores` [N, L] and of `transitions` [L, L] (from a paragraph's label, in rows, to
    the next one's) is largest. A score may be -inf. Time is linear in N."""
    path = scores.argmax(axis=1)
    if len(scores) < 2 or not transitions.any():
        return np.asarray(path)
    # No two neighbours can make up for a lead as large as this: most paragraphs are decided without looking at them.
    swing = float(np.ptp(transitions, axis=1).max() + np.ptp(transitions, axis=0).max())
    ordered = np.sort(scores, axis=1)
    open_ = np.flatnonzero(~(ordered[:, -1] - ordered[:, -2] > swing)).tolist()
    # Lists from here on: a page has a few runs of a few paragraphs with two labels each, too little for arrays.
    labels, weights = path.tolist(), transitions.tolist()
    rows = [_possible(row, swing) for row in scores[open_].tolist()]
    start = 0
    while start < len(open_):
        first = open_[start]
        stop = start + 1
        while stop < len(open_) and open_[stop] == open_[stop - 1] + 1:
            stop += 1
        last = first + stop - start - 1
        before = [[(labels[first - 1], 0.0)]] if first else []
        behind = [[(labels[last + 1], 0.0)]] if last + 1 < len(labels) else []
        found = _viterbi([*before, *rows[start:stop], *behind], weights)
        labels[first : last + 1] = found[len(before) : len(before) + stop - start]
        start = stop
    return np.array(labels)


def _viterbi(rows: list[_Labels], transitions: list[list[float]]) -> list[int]:
    best = rows[0]
    arrows: list[dict[int, int]] = []
    for row in rows[1:]:
        came: dict[int, int] = {}
        ahead = []
        for label, score in row:
            most = -inf
            came[label] = best[0][0]
            for last, total in best:
                if total + transitions[last][label] > most:
                    most = total + transitions[last][label]
                    came[label] = last
            ahead.append((label, most + score))
        arrows.append(came)
        best = ahead
    path = [max(best, key=lambda pair: pair[1])[0]]
    for came in reversed(arrows):
        path.append(came[path[-1]])
    return path[::-1]


def _possible(row: list[float], swing: float) -> _Labels:
    """The labels of a row, without those so far behind the best that no neighbours can make up for it."""
    least = max(row) - swing
    return [(label, score) for label, score in enumerate(row) if not score < least]
