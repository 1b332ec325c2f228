"""Labelling must not cost the import of training packages."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "transformers", "datasets", "sklearn", "matplotlib", "onnx", "pandas", "scipy")


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def loaded_after(statements: str) -> str:
    return run(f"{statements}\nimport sys\nprint(sorted(set(sys.modules) & set({HEAVY!r})))")


def test_labelling_and_its_command_line_import_no_training_package(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "page.txt").write_text("Mayor resigns\nDonate to our newsroom\n")
    command = ["label", "--model", str(tiny_bundle), str(tmp_path / "page.txt"), "-o", str(tmp_path / "out.jsonl")]
    assert loaded_after(f"from pagelabel.cli import main\nassert main({command!r}) == 0") == "[]"
    assert (tmp_path / "out.jsonl").exists()


def test_light_modules_import_no_training_package() -> None:
    modules = "pagelabel pagelabel.check pagelabel.data.readers pagelabel.data.html pagelabel.data.corpus"
    modules += " pagelabel.data.splits pagelabel.model.bundle pagelabel.model.encoding pagelabel.model.labels"
    assert loaded_after("\n".join(f"import {module}" for module in modules.split())) == "[]"


def test_readers_are_imported_when_they_are_used() -> None:
    found = run("import sys, pagelabel\nprint('pagelabel.data.readers' in sys.modules, pagelabel.read_pages.__name__)")
    assert found == "False read_pages"
    assert run("from pagelabel import *\nprint(read_pages.__name__)") == "read_pages"


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--config", "flat.toml"],
        ["train", "--config", "fast.toml"],
        ["export", "accurate", "-o", "out"],
        ["export", "fast", "-o", "out"],
        ["pair", "accurate", "fast", "-o", "out", "--dev", "x.jsonl"],
        ["evaluate", "fast", "x.jsonl"],
    ],
    ids=" ".join,
)
def test_training_verbs_name_the_extra_when_it_is_missing(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "flat.toml").write_text("seed = 1")
    (tmp_path / "fast.toml").write_text('base = "fast"')
    code = f"""
import os, sys
for name in ("torch", "transformers", "datasets", "sklearn"):
    sys.modules[name] = None
from pagelabel.cli import main
os.chdir({str(tmp_path)!r})
print(main({arguments}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2"
    assert "pip install 'pagelabel[train]'" in done.stderr


def test_a_format_names_the_extra_that_it_needs(tmp_path: Path) -> None:
    code = """
import sys
for name in ("pyarrow", "pyarrow.parquet", "torch"):
    sys.modules[name] = None
from pagelabel.cli import main
print(main(["label", "--to", "parquet", "-o", sys.argv[1], sys.argv[2]]))
"""
    (tmp_path / "a.jsonl").write_text('{"paragraphs": ["Menu"]}\n')
    command = [sys.executable, "-c", code, str(tmp_path / "out.parquet"), str(tmp_path / "a.jsonl")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2"
    assert "pip install 'pagelabel[parquet]'" in done.stderr
