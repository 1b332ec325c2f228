"""The folder of a training run: its config, its states, the pages held out of it; and which process keeps it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pagelabel.data.page import Page, PageError
from pagelabel.data.pagefiles import valid_pages, write_pages
from pagelabel.data.sources import expand
from pagelabel.data.written import replaced
from pagelabel.model.bundle import sha256
from pagelabel.training.config import DataConfig, TrainingConfig, same_settings

_CONFIG = "config.json"
_PROCESSES, _DATA = "processes", "data_sha256"

Digests = list[list[str]]
"""Name and sha256 of each file that a run learns from, in the order of its config."""
# The pages that are held out where the config names none.
HELD_OUT = "dev.jsonl"
LAST = "last"
"""The folder of a run's last checkpoint beside its best one, and what says in its `info` that it is that."""


def leads() -> bool:
    """Whether this process keeps the run: the only one does, and of several that `torchrun` started, the first."""
    return processes() == 1 or os.environ["RANK"] == "0"


def processes() -> int:
    """How many processes learn together: each takes its share of the windows, and all have the same weights."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def digests(data: DataConfig, **others: str | None) -> Digests:
    """Of the files and the files of folders that a config names, in `data` or as `others`. Raises ValueError where one
    is not there."""
    pages = [("data.train", file) for file in data.train] + [("data.dev", file) for file in data.dev]
    found = []
    for key, named in [*pages, ("data.corrections", data.corrections), *others.items()]:
        for file in () if named is None else expand(named):
            if isinstance(file, PageError) or not Path(file).is_file():
                raise ValueError(
                    f"{key}: {named}: no such file; data that is not shipped must be put there (see README, Train)"
                )
            found.append([Path(file).name, sha256(Path(file))])
    return found


def check_digests(stored: Digests | None, found: Digests) -> None:
    """Raises ValueError where a run goes on with other data than it was started with; an older one does not tell."""
    changed = set() if stored is None else set(map(tuple, stored)) ^ set(map(tuple, found))
    if changed:
        name = min(name for name, _ in changed)
        raise ValueError(
            f"{name} has changed since the run was started; resume with the same data, or use another folder"
        )


def guard(output: Path, config: TrainingConfig, resume: bool, data: Digests) -> None:
    """A run's folder holds one run: another config, other data, or a second start without `resume`, is refused."""
    file = output / _CONFIG
    if file.exists():
        if not resume:
            anew = "" if last_state(output) else "; it has saved nothing yet, so the folder may be removed, too"
            raise ValueError(f"{output} holds a training run: use --resume to go on with it, or another folder{anew}")
        stored = json.loads(file.read_text(encoding="utf-8"))
        if stored.pop(_PROCESSES, 1) != processes():
            raise ValueError(f"{file}: the run was started with another number of processes; resume with as many")
        known = stored.pop(_DATA, None)
        if not same_settings(stored, config):
            raise ValueError(
                f"{file}: the run was started with other settings; resume with those, or use another folder"
            )
        check_digests(known, data)
    elif resume:
        raise ValueError(f"{output}: no training run to resume there")


def write_config(output: Path, config: TrainingConfig, data: Digests) -> None:
    """What decides the run: its config, its data, and how many processes share a step, where it is more than one."""
    others = {_DATA: data} | ({_PROCESSES: processes()} if processes() > 1 else {})
    with replaced(output / _CONFIG) as file:
        file.write(json.dumps(config.to_dict() | others, indent=1).encode() + b"\n")


def keep(dev: Sequence[Page], output: Path, *, resume: bool) -> str:
    """Write the held-out pages into the run's folder, which may be new: export fits the temperature on them and
    measures parity. Raises ValueError where a run that goes on held out others: it has learnt from some of these."""
    file = (output / HELD_OUT).resolve()
    if resume and file.exists():
        if [page.to_json() for page in valid_pages([str(file)])] != [page.to_json() for page in dev]:
            raise ValueError(
                f"{file}: other pages were held out when the run was started, so its data has changed since; resume "
                "with the same, or use another folder"
            )
        return str(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_pages(file, dev)
    return str(file)


def last_state(output: Path) -> str | None:
    """The last state that was saved whole (the trainer writes trainer_state.json last), or None to begin anew."""
    saved = [file.parent for file in (output / "state").glob("checkpoint-*/trainer_state.json")]
    last = max(saved, key=lambda folder: int(folder.name.removeprefix("checkpoint-")), default=None)
    return None if last is None else str(last)


def commit() -> str | None:
    try:
        command: Sequence[str] = ["git", "rev-parse", "--short", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
