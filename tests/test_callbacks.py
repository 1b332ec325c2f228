"""What a run has to remember when it is stopped and resumed."""

import time
from types import SimpleNamespace
from typing import Any

import pytest

from pagelabel.training.callbacks import Clock, Patience


def begin(callback: Any) -> SimpleNamespace:
    args = SimpleNamespace(load_best_model_at_end=True, metric_for_best_model="f1", eval_strategy="steps")
    control = SimpleNamespace(should_training_stop=False)
    callback.on_train_begin(args, None, control)
    return control


def test_a_run_that_had_ended_early_does_not_go_on() -> None:
    callback = Patience(2)
    callback.early_stopping_patience_counter = 1
    assert not begin(callback).should_training_stop
    callback.early_stopping_patience_counter = 2
    assert begin(callback).should_training_stop


def test_the_time_before_a_stop_counts() -> None:
    clock = Clock()
    begin(clock)
    time.sleep(0.05)
    saved = clock.state()
    resumed = Clock(**saved["args"])
    for name, value in saved["attributes"].items():
        setattr(resumed, name, value)
    begin(resumed)
    assert resumed.seconds == pytest.approx(saved["attributes"]["before"], abs=0.04)
    assert resumed.seconds >= 0.05
