import json
from pathlib import Path

import pytest

from pagelabel.training.config import AugmentConfig, EncodingSettings, TrainingConfig, load_config, same_settings

TRAINING = Path(__file__).parent.parent / "training"


@pytest.mark.parametrize("name", ["default.toml", "corpus.toml"])
def test_the_shipped_configs_are_valid_and_name_pages_of_their_own_folder(name: str) -> None:
    config = load_config(TRAINING / name)
    assert all(Path(file).is_absolute() for file in config.data.train)
    assert all(Path(file).exists() for file in config.data.train if "corpus" in file)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sead = 1", "unknown key 'sead'"),
        ("[optim]\nrate = 1", "unknown key 'optim.rate'"),
        ("optim = 3", "'optim' should be a table"),
        ("seed = 'x'", "'seed' should be of type int"),
        ("seed = true", "'seed' should be of type int"),
        ("[data]\ntrain = 'x.jsonl'", "'data.train' should be a list of strings"),
        ("[data]\ntrain = [1]", "'data.train' should be a list of strings"),
        ("[data]\ncorrections = ['x']", "'data.corrections' should be of type str"),
        ("[augment]\ncrop = '0.1'", "'augment.crop' should be of type float"),
        ("[optim]\nepochs = 1.5", "'optim.epochs' should be of type int"),
        ("[optim.more]\nx = 1", "unknown key 'optim.more'"),
        ("[optim]\nclass_weights = [1.0]", "1 numbers for 5 labels"),
        ("[optim]\nclass_weights = ['1', '1', '1', '1', '1']", "'optim.class_weights' should be a list of numbers"),
        (
            "[optim]\nclass_weights = [true, true, true, true, true]",
            "'optim.class_weights' should be a list of numbers",
        ),
        ("[optim]\nclass_weights = 1.0", "'optim.class_weights' should be a list of numbers"),
        (
            "labels = ['keep', 'drop']\n[augment]\nrare_labels = []\n[optim]\nclass_weights = [1, 1, 1]",
            "3 numbers for 2",
        ),
        ("labels = ['a']", "at least two"),
        ("labels = ['a', 'a']", "at least two"),
        ("labels = ['keep', 'drop']\n[augment]\nrare_labels = ['gift']", "augment.rare_labels"),
        ("[optim]\nepochs = 0", "epochs should be at least 1, found 0"),
        ("[optim]\nbatch_windows = 0", "batch_windows should be at least 1"),
        ("[optim]\nhead_rate = nan", "head_rate should be at least 0, found nan"),
        ("[optim]\nhead_rate = inf", "head_rate should be at least 0, found inf"),
        ("[optim]\nclass_weights = [1, 1, 1, 1, -2]", "class_weights should be numbers from 0 on"),
        ("[optim]\nclass_weights = [1, 1, 1, 1, nan]", "class_weights should be numbers from 0 on"),
        ("[optim]\nclass_weights = [0, 0, 0, 0, 0]", "class_weights should be numbers from 0 on, not all 0"),
        ("[optim]\ndropout = 1.0", "dropout should be from 0 to 0.99"),
        ("[augment]\ncrop = 1.5", "crop should be from 0 to 1, found 1.5"),
        ("[data]\ndev_share = 0.0", "dev_share should be from 0.001 to 0.999"),
        ("[data]\ntrain = ['no*.jsonl']", r"no file is like 'no\*.jsonl'"),
        ("seed = ", "toml"),
    ],
)
def test_a_config_that_cannot_work_is_refused_with_its_name(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=words) as raised:
        load_config(file)
    assert "bad.toml" in str(raised.value)


def test_files_are_found_from_the_folder_of_the_config(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "c.toml").write_text('base = "base"\n[data]\ntrain = ["a.jsonl"]\ndev = ["../b.jsonl"]\n')
    config = load_config(tmp_path / "c.toml")
    assert config.data.train == (str(tmp_path / "a.jsonl"),)
    assert config.data.dev == (str(tmp_path.parent / "b.jsonl"),)
    assert config.base == str(tmp_path / "base")


def test_a_pattern_stands_for_the_files_that_are_like_it(tmp_path: Path) -> None:
    folder = tmp_path / "odd [1]"
    folder.mkdir()
    for name in ("b.jsonl", "a.jsonl", "[a].jsonl", "c.txt"):
        (folder / name).touch()
    config = folder / "c.toml"
    config.write_text('[data]\ntrain = ["?.jsonl", "[a].jsonl"]\n')
    assert load_config(config).data.train == tuple(str(folder / f"{name}.jsonl") for name in ("a", "b", "[a]"))
    config.write_text('[data]\ndev = ["*.html"]\n')
    with pytest.raises(ValueError, match=r"no file is like '\*\.html'"):
        load_config(config)


def test_the_resolved_config_holds_every_setting() -> None:
    values = TrainingConfig().to_dict()
    assert values["optim"]["encoder_rate"] == 1e-4
    parts = {"data", "encoding", "augment", "optim"}
    assert set(values) == {"name", "base", "layers", "labels", "seed"} | parts


def test_a_setting_that_a_run_did_not_have_yet_stands_at_its_default() -> None:
    stored = json.loads(json.dumps(TrainingConfig(seed=3).to_dict()))
    assert same_settings(stored, TrainingConfig(seed=3))
    assert not same_settings(stored, TrainingConfig(seed=4))
    del stored["layers"], stored["augment"]["hide_links"], stored["encoding"]
    assert same_settings(stored, TrainingConfig(seed=3))
    assert not same_settings(stored, TrainingConfig(seed=3, augment=AugmentConfig(hide_links=0.1)))
    assert not same_settings(stored, TrainingConfig(seed=3, encoding=EncodingSettings(links=True)))
    assert not same_settings(stored | {"gone": 1}, TrainingConfig(seed=3))
    assert not same_settings(stored | {"augment": stored["augment"] | {"gone": 1}}, TrainingConfig(seed=3))


def test_other_labels_come_in_the_order_of_the_config(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(
        "labels = ['keep', 'drop']\n[augment]\nrare_labels = ['drop']\n[optim]\nclass_weights = [1, 2.5]\n"
    )
    config = load_config(tmp_path / "c.toml")
    assert config.labels == ("keep", "drop")
    assert config.optim.class_weights == (1, 2.5)


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"gone\.toml"):
        load_config(tmp_path / "gone.toml")
    (tmp_path / "bytes.toml").write_bytes(b"base = '\xff'")
    with pytest.raises(ValueError, match=r"bytes\.toml"):
        load_config(tmp_path / "bytes.toml")


def test_the_resolved_config_can_be_stored() -> None:
    values = TrainingConfig().to_dict()
    assert json.loads(json.dumps(values))["labels"] == list(values["labels"])


def test_other_labels_need_no_word_about_the_rare_ones(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text("labels = ['keep', 'drop']", encoding="utf-8")
    assert load_config(tmp_path / "own.toml").labels == ("keep", "drop")
