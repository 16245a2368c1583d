"""Readers of images, on the real files and on damaged copies of them."""

import gzip
import os
import pickle
import pickletools
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from committed_tasks import receipt_of
from PIL import Image

from crossover.acquire.dataset import acquire_dataset
from crossover.acquire.receipt import read_receipt
from crossover.config.datasets import Dataset
from crossover.config.load import parse
from crossover.config.media_readers import CifarReader, IdxReader, ImageFolderReader, ImageOptions, ImageTableReader
from crossover.errors import UserError
from crossover.planning.datasets import plan_dataset
from crossover.specs.descriptions import Receipt
from crossover.tasks.readers import cifar, idx, image_table, images

# --- MNIST ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def mnist(mirrored) -> Path:
    return mirrored("mnist")


@pytest.fixture
def mnist_copy(mnist, tmp_path) -> Path:
    for path in mnist.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_mnist_is_whole(mnist):
    items = idx.read(IdxReader(kind="idx"), receipt_of(mnist))
    assert items.shape == (28, 28)
    table = items.table
    assert table["split"].value_counts().to_dict() == {"train": 60_000, "test": 10_000}
    published = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    published_test = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    for split, name, counts in (("train", "train", published), ("test", "t10k", published_test)):
        part = table[table["split"] == split]
        assert part["target"].value_counts().sort_index().tolist() == counts
        with gzip.open(mnist / f"{name}-images-idx3-ubyte.gz") as stream:
            pixels = np.frombuffer(stream.read()[16:], dtype=np.uint8).reshape(-1, 784)
        with gzip.open(mnist / f"{name}-labels-idx1-ubyte.gz") as stream:
            labels = stream.read()[8:]
        assert (np.stack(part["sequence"].to_list()) == pixels).all()
        assert part["target"].tolist() == [str(label) for label in labels]
    assert table["item"].is_unique


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def other_count(content: bytes) -> bytes:
    whole = bytearray(gzip.decompress(content))
    whole[4:8] = (9_999).to_bytes(4, "big")
    return gzip.compress(whole[: 8 + 9_999], 1)


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("train-images-idx3-ubyte.gz", cut, r"train-images-idx3-ubyte\.gz is not a complete gzip file \(Compressed file ended"),
        ("t10k-labels-idx1-ubyte.gz", lambda _: b"<html>", r"t10k-labels-idx1-ubyte\.gz is not a complete gzip file \(Not a gzipped"),
        ("t10k-labels-idx1-ubyte.gz", lambda _: gzip.compress(b"<html>"), "begins with 3c 68 74 6d, not with 00 00 08 01"),
        ("t10k-labels-idx1-ubyte.gz", lambda _: gzip.compress(b"\0\0\x08\x01\0"), "has 5 bytes, but its header says"),
        ("t10k-images-idx3-ubyte.gz", lambda content: gzip.compress(gzip.decompress(content)[:-1], 1), "has 7840015 bytes"),
        ("t10k-labels-idx1-ubyte.gz", other_count, "has 10000 images, but .* has 9999 labels"),
        ("t10k-labels-idx1-ubyte.gz", None, "has no test-labels file named as in MNIST"),
    ],
)  # fmt: skip
def test_a_damaged_file_of_mnist_is_refused_by_name(mnist_copy, name, damage, message):
    path = mnist_copy / name
    content = path.read_bytes()
    path.unlink()
    if damage:
        path.write_bytes(damage(content))
    with pytest.raises(UserError, match=message):
        idx.read(IdxReader(kind="idx"), receipt_of(mnist_copy))


# --- CIFAR-10 ---------------------------------------------------------------------------------------------------

CIFAR = CifarReader(kind="cifar-batches")


@pytest.fixture(scope="session")
def batches(mirrored, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cifar")
    with tarfile.open(mirrored("cifar10/cifar-10-python.tar.gz.subset")) as archive:
        archive.extractall(folder, filter="data")
    return folder


def test_cifar_is_what_pickle_reads(batches):
    items = cifar.read(CIFAR, receipt_of(batches))
    table = items.table
    assert items.shape == (32, 32, 3)
    assert table["split"].value_counts().to_dict() == {"train": 3000, "test": 1000}
    assert table["target"][:4].tolist() == ["frog", "truck", "truck", "deer"]  # of the published batch
    assert table["sequence"][0][:3].tolist() == [59, 62, 63]
    for split, name in (("train", "data_batch_1"), ("test", "test_batch")):
        with (batches / "cifar-10-batches-py" / name).open("rb") as stream:
            content = pickle.load(stream, encoding="bytes")  # noqa: S301
        part = table[table["split"] == split]
        own = np.stack(part["sequence"].to_list()).reshape(-1, 32, 32, 3)
        assert (own.transpose(0, 3, 1, 2).reshape(-1, 3072) == content[b"data"]).all()
        names = sorted(set(part["target"]))  # the classes of CIFAR-10 are in the order of the alphabet
        assert [names.index(label) for label in part["target"]] == content[b"labels"]
    assert items.notes == [
        *(f"data_batch_{number} is missing" for number in range(2, 6)),
        "data_batch_1 has 3000 of 10000 images",
        "test_batch has 1000 of 10000 images",
    ]


class Hostile:
    """Makes a file when it is unpickled by Python."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_hostile_pickle_is_refused_and_not_run(batches, tmp_path):
    shutil.copytree(batches, tmp_path / "copy")
    batch = tmp_path / "copy/cifar-10-batches-py/data_batch_1"
    pwned = tmp_path / "pwned"
    batch.write_bytes(pickle.dumps({"data": Hostile(pwned), "labels": []}))
    with pytest.raises(UserError, match=r"data_batch_1 is not a complete pickle .*names \w+\.mkdir, which is not data"):
        cifar.read(CIFAR, receipt_of(tmp_path / "copy"))
    assert not pwned.exists()
    pickle.loads(batch.read_bytes())  # noqa: S301
    assert pwned.exists(), "the attack itself does not work, so this test shows nothing"


def object_array() -> bytes:
    return pickle.dumps({"data": np.array([{}, 1], dtype=object), "labels": [0, 1]}, 2)


def swapped(key: str, value: object):
    def change(content: bytes) -> bytes:
        batch = pickle.loads(content, encoding="latin1")  # noqa: S301
        return pickletools.optimize(pickle.dumps({**batch, key: value}, 2))

    return change


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("data_batch_1", cut, r"data_batch_1 is not a complete pickle \(UnpicklingError: pickle data was truncated\)"),
        ("data_batch_1", lambda _: b"", r"data_batch_1 is not a complete pickle \(EOFError"),
        ("test_batch", lambda _: object_array(), "test_batch contains an array that is not of numbers"),
        ("test_batch", swapped("labels", [1] * 999), r"images of shape \(1000, 3072\) in uint8 and 999 labels"),
        ("test_batch", swapped("labels", [10] * 1000), "expected one label of 0 to 9"),
        ("test_batch", swapped("data", np.zeros((1000, 3072))), r"images of shape \(1000, 3072\) in float64"),
        ("test_batch", swapped("data", "text"), "does not contain images and labels"),
        ("test_batch", lambda _: pickle.dumps([1]), "test_batch has no data and labels"),
        ("batches.meta", None, r"has no batches\.meta"),
    ],
)  # fmt: skip
def test_a_damaged_batch_is_refused_by_name(batches, tmp_path, name, damage, message):
    shutil.copytree(batches, tmp_path / "copy")
    path = tmp_path / "copy/cifar-10-batches-py" / name
    content = path.read_bytes()
    path.unlink()
    if damage:
        path.write_bytes(damage(content))
    with pytest.raises(UserError, match=message):
        cifar.read(CIFAR, receipt_of(tmp_path / "copy"))


# --- folders of images ------------------------------------------------------------------------------------------

FOLDER = ImageFolderReader(kind="image-folder")


def changed(reader, **changes):
    return reader.model_copy(update=changes)


@pytest.fixture
def pictures(batches, tmp_path) -> Path:
    """Some images of CIFAR-10 as PNG files, one folder per class."""
    table = cifar.read(CIFAR, receipt_of(batches)).table[:12]
    for name, pixels, label in zip(table["item"], table["sequence"], table["target"], strict=True):
        (tmp_path / label).mkdir(exist_ok=True)
        Image.fromarray(pixels.reshape(32, 32, 3)).save(tmp_path / label / f"{name}.png")
    return tmp_path


def test_pixels_of_files_are_those_that_were_written(batches, pictures):
    items = images.read(FOLDER, receipt_of(pictures))
    table = cifar.read(CIFAR, receipt_of(batches)).table[:12].set_index("item")
    assert items.shape == (32, 32, 3)
    assert len(items.table) == 12
    for name, pixels, label in zip(*(items.table[key] for key in ("item", "sequence", "target")), strict=True):
        assert (pixels == table.loc[Path(name).stem, "sequence"]).all()
        assert label == table.loc[Path(name).stem, "target"]


def test_images_can_be_gray_and_resized(pictures):
    items = images.read(changed(FOLDER, colour=False, resize=[8, 16]), receipt_of(pictures))
    assert items.shape == (8, 16)
    assert {(len(pixels), pixels.dtype.name) for pixels in items.table["sequence"]} == {(128, "uint8")}


def test_an_image_of_another_size_is_named(pictures):
    Image.new("RGB", (31, 32)).save(pictures / "truck" / "a.png")
    with pytest.raises(
        UserError, match=r"truck/\S+\.png has 32 x 32 pixels, but .*|truck/a\.png has 32 x 31 pixels, but"
    ):
        images.read(FOLDER, receipt_of(pictures))
    assert images.read(changed(FOLDER, resize=[32, 32]), receipt_of(pictures)).shape == (32, 32, 3)


def test_a_corrupt_image_is_fatal_unless_it_is_to_be_skipped(pictures):
    good = next((pictures / "truck").iterdir())
    (pictures / "truck" / "cut.png").write_bytes(good.read_bytes()[:500])
    (pictures / "truck" / "page.png").write_bytes(b"<html>")
    with pytest.raises(UserError, match=r"truck/cut\.png is not a complete image"):
        images.read(FOLDER, receipt_of(pictures))
    items = images.read(changed(FOLDER, damaged="skip"), receipt_of(pictures))
    assert len(items.table) == 12
    assert [entry.input for entry in items.skipped] == ["truck/cut.png", "truck/page.png"]


def test_an_image_that_pillow_stumbles_over_is_refused(tmp_path):
    path = tmp_path / "one.dds"
    Image.fromarray(np.zeros((8, 8, 3), dtype=np.uint8)).save(path)
    content = bytearray(path.read_bytes())
    content[80:84] = bytes(4)  # the flags of the pixel format
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"one is not a complete image \(Unknown pixel format flags 0\)"):
        images.load_image(path, "one", FOLDER)


def test_labels_of_images_come_from_a_table(pictures):
    names = sorted(path.relative_to(pictures).as_posix() for path in pictures.rglob("*.png"))
    lines = ["path\tclass", *(f"{name}\tclass {number % 2}" for number, name in enumerate(names))]
    (pictures / "labels.tsv").write_text("\n".join(lines))
    labels = {"file": "labels.tsv", "item": "path", "target": "class"}
    items = images.read(ImageFolderReader(kind="image-folder", labels=labels), receipt_of(pictures))
    assert items.table["item"].tolist() == names
    assert items.table["target"].tolist() == [f"class {number % 2}" for number in range(12)]


def test_sixteen_bits_are_brought_to_eight(tmp_path):
    pixels = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    for suffix in ("png", "tif"):
        Image.fromarray(pixels).save(tmp_path / f"one.{suffix}")
        read = images.load_image(tmp_path / f"one.{suffix}", "one", ImageOptions(colour=False))
        assert read.ravel().tolist() == list(range(256))


def test_pixels_of_unknown_range_are_refused(tmp_path):
    Image.fromarray(np.ones((4, 4), dtype=np.float32)).save(tmp_path / "one.tif")
    with pytest.raises(UserError, match="one has pixels of 32 bits, whose range is unknown; save it with 8 or 16 bits"):
        images.load_image(tmp_path / "one.tif", "one", ImageOptions(colour=False))


# --- images within a table --------------------------------------------------------------------------------------


@pytest.fixture
def hub(pictures, tmp_path_factory, monkeypatch) -> Receipt:
    """The same images, acquired from a folder with the layout of a dataset of the hub: one folder for each class."""
    monkeypatch.chdir(tmp_path_factory.mktemp("hub"))
    shutil.copytree(pictures, "data/train")
    content = {"kind": "hub", "name": "hub", "id": "data", "revision": "0" * 40, "splits": {"train": "train"}}
    acquire_dataset(plan_dataset(parse(Dataset, content, "dataset")), Path("out"))
    shutil.rmtree("data")
    return read_receipt(Path("out/dataset.json"))


COLUMNS = {"image": "image", "target": "label"}
TABLE = ImageTableReader(kind="image-table", file="train.parquet", columns=COLUMNS)


def test_images_of_the_hub_are_those_of_the_files(pictures, hub):
    items = image_table.read(TABLE, hub)
    files = images.read(FOLDER, receipt_of(pictures))
    names = sorted(set(files.table["target"]))  # the hub's library numbers the folders in this order
    assert items.shape == files.shape
    assert items.table["item"].tolist() == [f"train.parquet:{number}" for number in range(1, 13)]
    classes = [names[int(label)] for label in items.table["target"]]
    assert content_of(items.table["sequence"], classes) == content_of(files.table["sequence"], files.table["target"])


def content_of(sequences, classes):
    return sorted((sequence.tolist(), name) for sequence, name in zip(sequences, classes, strict=True))


def test_a_damaged_image_in_a_table_is_fatal_unless_it_is_to_be_skipped(hub):
    path = hub.root / "train.parquet"
    table = pd.read_parquet(path)
    table.loc[2, "image"]["bytes"] = table["image"][2]["bytes"][:300]
    table.to_parquet(path)
    with pytest.raises(UserError, match=r"^train\.parquet:3 is not a complete image"):
        image_table.read(TABLE, hub)
    items = image_table.read(changed(TABLE, damaged="skip"), hub)
    assert len(items.table) == 11
    assert [entry.input for entry in items.skipped] == ["train.parquet:3"]


def test_a_column_without_images_is_named(hub):
    labels = {"image": "label", "target": "label"}
    reader = ImageTableReader(kind="image-table", file="train.parquet", columns=labels)
    with pytest.raises(UserError, match=r"train.parquet:1: expected the bytes of an image, but found \d"):
        image_table.read(reader, hub)
