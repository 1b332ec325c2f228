"""What a run tells, and has to remember when it is stopped and resumed: that it was done, and how long it took."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from transformers import EarlyStoppingCallback, TrainerCallback
from transformers.trainer_callback import ExportableState


class Patience(EarlyStoppingCallback):  # type: ignore[misc]
    """Early stopping that a resumed run keeps to: one that had ended so does not go on."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        super().on_train_begin(args, state, control, **kwargs)
        if self.early_stopping_patience_counter >= self.early_stopping_patience:
            control.should_training_stop = True


class Reporter(TrainerCallback):  # type: ignore[misc]
    """Losses and scores on stderr, a JSON object a line."""

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        if state.is_world_process_zero and logs is not None:
            print(json.dumps({name: value for name, value in logs.items() if name != "total_flos"}), file=sys.stderr)


class Clock(TrainerCallback, ExportableState):  # type: ignore[misc]
    """Seconds of training, those before a resumed run's last saved state too."""

    def __init__(self) -> None:
        self.before = 0.0
        self._started = time.time()

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._started = time.time()

    @property
    def seconds(self) -> float:
        return self.before + time.time() - self._started

    def state(self) -> dict[str, Any]:
        """As the trainer saves it: what to make the callback of, and what to set of it."""
        return {"args": {}, "attributes": {"before": self.seconds}}
