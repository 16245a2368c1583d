import hashlib
import pydoc_data.topics
import shutil
from importlib.metadata import version
from pathlib import Path

import pytest
import sklearn.datasets

from crossover.acquire.acquired import Acquired
from crossover.acquire.dataset import acquire_dataset
from crossover.acquire.receipt import origin_of, read_receipt, write_receipt
from crossover.acquire.registry import ACQUIRERS
from crossover.config.datasets import Music21Dataset
from crossover.errors import UserError
from crossover.files import read_json, read_sealed_json, sha256, tree_digest, write_sealed_json
from crossover.pretraining.corpus import read_documents
from crossover.specs.datasets import DatasetSpec
from crossover.specs.identity import code_digests


def spec_of(kind: str, *, version: str | None = None, sha256: str | None = None, **settings) -> DatasetSpec:
    dataset = {"kind": kind, "name": "mine"} | settings
    return DatasetSpec(name="mine-0", dataset=dataset, version=version, sha256=sha256, code={})


def music21_spec(**changes) -> DatasetSpec:
    settings = {"classes": {"bach": "bach", "tunes": "ryansMammoth"}, "pieces": 3, "version": version("music21")}
    return spec_of("music21", **settings | changes)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.mid")}


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scores")
    acquire_dataset(music21_spec(), folder)
    return folder


def test_scores_become_midi_in_one_folder_per_class(scores):
    receipt = read_receipt(scores / "dataset.json")
    assert receipt.name == "mine-0"
    assert [file.split("/")[0] for file in receipt.paths] == ["bach"] * 3 + ["tunes"] * 3
    assert all((scores / file).read_bytes().startswith(b"MThd") for file in receipt.paths)
    assert contents(scores).keys() == set(receipt.paths)


def test_two_workers_write_the_same_bytes(scores, tmp_path):
    acquire_dataset(music21_spec(), tmp_path, workers=2)
    assert contents(tmp_path) == contents(scores)


def test_another_seed_takes_other_scores(scores, tmp_path):
    acquire_dataset(music21_spec(seed=1), tmp_path)
    assert contents(tmp_path).keys() != contents(scores).keys()


def test_adding_a_class_leaves_the_others_alone(scores, tmp_path):
    acquire_dataset(music21_spec(classes={"tunes": "ryansMammoth", "bach": "bach"}), tmp_path)
    assert contents(tmp_path) == contents(scores)


def test_what_the_corpus_does_not_have_is_refused_by_name(tmp_path):
    with pytest.raises(UserError, match=r"'nowhere'.*bach"):
        acquire_dataset(music21_spec(classes={"a": "nowhere", "b": "bach"}), tmp_path)
    with pytest.raises(UserError, match=r"'joplin' has only \d different scores.*'rags'"):
        acquire_dataset(music21_spec(classes={"rags": "joplin", "b": "bach"}, pieces=9), tmp_path)


def test_a_second_version_of_a_piece_is_left_out(tmp_path, monkeypatch):
    from crossover.acquire import music21

    corpus = music21.package_folder("music21") / "corpus"
    (tmp_path / "corpus" / "chorales").mkdir(parents=True)
    for name in ("bwv274", "bwv62.6", "bwv281"):  # the first two are one chorale
        shutil.copy(corpus / "bach" / f"{name}.mxl", tmp_path / "corpus" / "chorales")
    monkeypatch.setattr(music21, "package_folder", lambda package: tmp_path)

    def chorales(pieces: int) -> Music21Dataset:
        classes = {"chorales": "chorales", "others": "chorales"}
        return Music21Dataset(kind="music21", name="mine", classes=classes, pieces=pieces)

    kept, skipped = music21._convert_class("chorales", chorales(2), tmp_path, map)
    assert "bwv281" in kept
    assert len(kept) == 2
    assert len(skipped) <= 1
    assert all("melodic runs" in entry.reason for entry in skipped)
    with pytest.raises(UserError, match="only 2 different scores"):
        music21._convert_class("chorales", chorales(3), tmp_path, map)


def test_digits_are_those_of_scikit_learn(tmp_path):
    acquire_dataset(spec_of("sklearn-digits", version=version("scikit-learn")), tmp_path)
    source = Path(sklearn.datasets.__file__).parent / "data" / "digits.csv.gz"
    assert (tmp_path / "digits.csv.gz").read_bytes() == source.read_bytes()


def test_topics_are_read_without_being_run(tmp_path):
    acquire_dataset(spec_of("python-topics", sha256=sha256(Path(pydoc_data.topics.__file__))), tmp_path)
    topics = pydoc_data.topics.topics
    assert read_documents(tmp_path / "dataset.json") == [topics[name] for name in sorted(topics)]


def test_a_folder_is_read_in_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("mine/a/1.mid", "mine/a-b/2.mid", "mine/.hidden/3.mid"):
        Path(name).parent.mkdir(parents=True)
        Path(name).write_text(name)
    spec = spec_of("folder", path="mine", sha256=tree_digest(Path("mine")))
    acquire_dataset(spec, Path("downloads"))
    assert sorted(path.name for path in Path("downloads").iterdir()) == ["dataset.json"]
    assert set(read_receipt(Path("downloads/dataset.json")).paths) == {"a/1.mid", "a-b/2.mid"}
    Path("mine/a/1.mid").write_text("other")
    with pytest.raises(UserError, match="changed since this was planned"):
        acquire_dataset(spec, Path("downloads"))


@pytest.mark.parametrize(("number", "listed"), [(20, True), (21, False)])
def test_a_card_lists_few_files_and_counts_many(tmp_path, number, listed):
    names = [f"{index}" for index in range(number)]
    for name in names:
        (tmp_path / name).write_text(name)
    origins = []
    for _ in range(2):
        write_receipt(tmp_path / "dataset.json", Acquired(tmp_path, names, "here", None), "many", "folder")
        origins.append(origin_of(read_receipt(tmp_path / "dataset.json")).files)
        (tmp_path / "0").write_text("other")
    assert origins[0] != origins[1]
    assert len(origins[0]) == number if listed else origins[0].number == number


def test_versions_that_are_not_installed_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"1\.2\.3 was planned"):
        acquire_dataset(music21_spec(version="1.2.3"), tmp_path)


@pytest.mark.parametrize("damage", ["changed", "shortened", "removed"])
def test_a_damaged_file_is_refused_by_name(scores, tmp_path, damage):
    shutil.copytree(scores, tmp_path / "copy")
    content = read_json(scores / "dataset.json")
    file = tmp_path / "copy" / content["files"][0]["path"]
    match damage:
        case "changed":
            file.write_bytes(file.read_bytes()[:-1] + b"?")
        case "shortened":
            file.write_bytes(file.read_bytes()[:-1])
        case "removed":
            file.unlink()
    path = tmp_path / "copy" / "dataset.json"
    write_sealed_json(path, read_sealed_json(path) | {"root": str(tmp_path / "copy")})
    with pytest.raises(UserError, match=file.name):
        read_receipt(path)


def test_digests_are_those_of_the_bytes(scores):
    for entry in read_json(scores / "dataset.json")["files"]:
        content = (scores / entry["path"]).read_bytes()
        assert (entry["bytes"], entry["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("module", sorted(set(ACQUIRERS.values())))
def test_a_dataset_depends_on_the_code_of_its_own_kind_alone(module):
    assert module in code_digests(module)
    assert not code_digests(module).keys() & (set(ACQUIRERS.values()) - {module})
