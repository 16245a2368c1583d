import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from tiny_runs import environment

from crossover.acquire.dataset import acquire_dataset
from crossover.acquire.receipt import read_receipt
from crossover.config.datasets import Dataset
from crossover.config.load import parse
from crossover.errors import UserError
from crossover.planning.datasets import plan_dataset

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TABLE = pd.DataFrame({"sentence": ["a 'b'", 'c "d"\n', "é"], "label": [1, 0, 1]})


def spec_of(**changes):
    content = {"kind": "hub", "name": "hub", "id": "data", "revision": COMMIT, "splits": {"train": "train"}}
    return plan_dataset(parse(Dataset, content | changes, "dataset"))


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch):
    """A folder with the layout of a dataset on the hub."""
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    TABLE.to_parquet("data/train-00000-of-00001.parquet")
    TABLE[:2].to_parquet("data/validation-00000-of-00001.parquet")


def test_each_split_becomes_a_parquet_file():
    splits = {"train": "train", "small": "validation"}
    acquire_dataset(spec_of(splits=splits), Path("out"))
    receipt = read_receipt(Path("out/dataset.json"))
    assert receipt.paths == ("small.parquet", "train.parquet")
    assert receipt.version == COMMIT
    pd.testing.assert_frame_equal(pd.read_parquet("out/train.parquet"), TABLE)
    pd.testing.assert_frame_equal(pd.read_parquet("out/small.parquet"), TABLE[:2])
    assert sorted(path.name for path in Path("out").iterdir()) == ["dataset.json", "small.parquet", "train.parquet"]


def test_a_csv_file_becomes_a_parquet_file_too():
    Path("tables").mkdir()
    TABLE.to_csv("tables/train.csv", index=False)
    acquire_dataset(spec_of(id="tables"), Path("out"))
    pd.testing.assert_frame_equal(pd.read_parquet("out/train.parquet"), TABLE)


def test_another_commit_or_other_files_are_another_dataset():
    before = spec_of()
    assert spec_of(revision=COMMIT[::-1]).name != before.name
    TABLE[:1].to_parquet("data/validation-00000-of-00001.parquet")
    assert spec_of().name != before.name
    with pytest.raises(UserError, match="have changed since this was planned"):
        acquire_dataset(before, Path("out"))


@pytest.mark.parametrize("changes", [{"splits": {"train": "nonsense"}}, {"config": "nonsense"}])
def test_what_the_dataset_does_not_have_is_told(changes):
    with pytest.raises(
        UserError, match=rf"at commit {COMMIT} could not be downloaded from the Hugging Face hub \(.*nonsense"
    ):
        acquire_dataset(spec_of(**changes), Path("out"))
    assert list(Path("out").iterdir()) == []


def test_code_that_comes_with_a_dataset_is_not_run():
    Path("code").mkdir()
    Path("code/code.py").write_text("from pathlib import Path\nPath('ran').touch()\n")
    with pytest.raises(UserError, match="could not be downloaded"):
        acquire_dataset(spec_of(id="code"), Path("out"))
    assert not Path("ran").exists()


def test_a_hub_out_of_reach_is_told_in_one_sentence(tmp_path):
    """In a process of its own, since the library reads the address of the hub when it is imported."""
    script = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_acquire_hub import *\n"
        "try: acquire_dataset(spec_of(id='nyu-mll/glue', config='cola'), Path('out'))\n"
        "except UserError as error: print('told:', error)"
    )
    settings = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment(**settings), check=False
    )
    assert run.stdout.startswith(
        f"told: split train of nyu-mll/glue, cola at commit {COMMIT} could not be downloaded"
    ), run
    assert "the network" in run.stdout
    assert run.stdout.count("\n") == 1


@pytest.mark.parametrize("changes", [{"revision": "main"}, {"revision": None}, {"splits": {}}])
def test_a_dataset_without_a_pinned_commit_is_refused(changes):
    with pytest.raises(UserError, match=next(iter(changes))):
        spec_of(**changes)
