import gzip
import hashlib
import json
import shutil
import time
from pathlib import Path

import pytest
import sklearn.datasets
from web import serving

from crossover.acquire.dataset import acquire_dataset
from crossover.acquire.receipt import origin_of, read_receipt
from crossover.acquire.transfer import http as transfer
from crossover.config.datasets import Dataset
from crossover.config.load import parse
from crossover.errors import UserError
from crossover.files import read_json
from crossover.planning.datasets import plan_dataset
from crossover.specs.datasets import DatasetSpec
from crossover.specs.tasks import TaskSpec
from crossover.tasks.prepare.stage import prepare_task

URL = "https://data.org/sets/one.csv"


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CROSSOVER_MIRROR", raising=False)
    monkeypatch.setattr(transfer, "RETRY_DELAY", 0.01)


@pytest.fixture
def mirror(monkeypatch, tmp_path):
    """Write a mirror: the content of each file by its path, and the manifest's entries; and use it."""
    root = tmp_path / "mirror"

    def write(files: dict[str, bytes], *entries: dict) -> Path:
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        facts = {
            name: {"file": name, "bytes": len(content), "sha256": digest(content)} for name, content in files.items()
        }
        if entries:
            listed = [facts[entry["file"]] | {"upstream": URL, "status": "complete"} | entry for entry in entries]
            (root / "MANIFEST.json").write_text(json.dumps({"files": listed}))
        monkeypatch.setenv("CROSSOVER_MIRROR", str(root))
        return root

    return write


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def spec_of(*files, **changes) -> DatasetSpec:
    content = {"kind": "download", "name": "data", "files": [{"url": URL} | file for file in files]} | changes
    return plan_dataset(parse(Dataset, content, "data"))


def acquire(spec: DatasetSpec) -> Path:
    folder = Path("resources/downloads", spec.name)
    acquire_dataset(spec, folder)
    return folder


def places_of(spec: DatasetSpec, name: str) -> list[str]:
    return list(spec.publication.sources[name].places)


def content_of(*files) -> list[bytes]:
    folder = acquire(spec_of(*files))
    return [(folder / name).read_bytes() for name in read_receipt(folder / "dataset.json").paths]


# --- finding files ----------------------------------------------------------------------------------------------


def test_a_file_is_found_by_its_address(mirror):
    mirror({"a/x.csv": b"mine", "data.org/sets/one.csv": b"other"}, {"file": "a/x.csv"})
    assert content_of({}) == [b"mine"]


def test_a_file_is_found_by_another_of_its_addresses(mirror):
    mirror({"x": b"mine"}, {"file": "x", "upstream": "http://old.org/one.csv"})
    assert content_of({"mirrors": ["http://old.org/one.csv"]}) == [b"mine"]


def test_a_file_is_found_by_its_bytes(mirror):
    mirror({"x": b"other", "y": b"mine"}, *({"file": name, "upstream": "a page"} for name in "xy"))
    assert content_of({"sha256": digest(b"mine")}) == [b"mine"]


def test_an_address_of_several_files_needs_the_name_of_one(mirror):
    mirror({"d/one.csv.subset": b"1", "d/two.csv": b"2"}, {"file": "d/one.csv.subset"}, {"file": "d/two.csv"})
    assert content_of({}) == [b"1"], "the name that the address ends in"
    assert content_of({"name": "two.csv"}, {"name": "one.csv", "mirrors": [URL]}) == [b"1", b"2"]
    spec = spec_of({"url": URL + ".zip", "mirrors": [URL], "name": "three.csv"})
    assert places_of(spec, "three.csv") == [URL + ".zip", URL]


def test_a_mirror_without_a_manifest_has_files_at_host_and_path(mirror):
    mirror({"data.org/sets/one.csv": b"mine", "secret": b""})
    assert content_of({"sha256": digest(b"mine")}) == [b"mine"]
    outside = spec_of({"url": "https://data.org/../secret", "name": "x"})
    assert places_of(outside, "x") == ["https://data.org/../secret"]


def test_what_a_mirror_lacks_comes_from_the_web(mirror):
    root = mirror({"x": b"mine"}, {"file": "x", "upstream": "http://a.org/x"})
    with serving() as web:
        assert content_of({"url": web.put("/y", b"theirs")}) == [b"theirs"]
    assert str(root) not in str(spec_of({}))


def test_a_server_can_be_a_mirror_and_its_manifest_is_read_once(monkeypatch):
    with serving() as web:
        monkeypatch.setenv("CROSSOVER_MIRROR", f"{web.url}/pub/")
        entry = {
            "file": "a b.subset",
            "upstream": URL,
            "status": "subset",
            "rows": 3,
            "bytes": 4,
            "sha256": digest(b"mine"),
        }
        web.put("/pub/MANIFEST.json", json.dumps({"files": [entry]}).encode())
        web.put("/pub/a%20b.subset", b"mine")
        web.put("/pub/data.org/two", b"path")
        assert content_of({}, {"url": "https://data.org/two"}) == [b"mine", b"path"]
        spec_of({})
        assert [request.path for request in web.requests].count("/pub/MANIFEST.json") == 1
    assert spec_of({}).subset == "one.csv: 3", "what was read stays known when the server is gone"


def test_a_server_need_not_have_a_manifest(monkeypatch):
    with serving() as web:
        monkeypatch.setenv("CROSSOVER_MIRROR", web.url)
        web.put("/data.org/sets/one.csv", b"mine")
        assert content_of({}) == [b"mine"]


@pytest.mark.parametrize("root", ["/nowhere", "http://127.0.0.1:9"])
def test_a_mirror_that_is_not_there_is_told(monkeypatch, root):
    monkeypatch.setenv("CROSSOVER_MIRROR", root)
    with pytest.raises(UserError, match=rf"{root}.*CROSSOVER_MIRROR|CROSSOVER_MIRROR.*{root}"):
        spec_of({})


@pytest.mark.parametrize("text", ["{", "\xe9", '{"files": [{"file": "x"}]}', '{"files": 3}', "[3]"])
def test_a_damaged_manifest_is_told(mirror, text):
    (mirror({}, *()) / ".").mkdir(exist_ok=True)
    Path("mirror/MANIFEST.json").write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=r"mirror/MANIFEST\.json"):
        spec_of({})


# --- identity ---------------------------------------------------------------------------------------------------


def test_the_same_bytes_are_the_same_dataset_wherever_they_are(mirror, monkeypatch):
    known = {"sha256": digest(b"mine")}
    before = spec_of(known).name
    more = {"mirrors": ["https://b.org/one.csv"], "bytes": 4}
    assert spec_of(known | more, version="2", unpacked_mb=7).name == before
    mirror({"x": b"mine"}, {"file": "x"})
    assert spec_of(known).name == before
    assert places_of(spec_of(known), "one.csv")[1:] == [URL]


def test_without_a_checksum_the_address_is_the_dataset():
    assert spec_of({}).name != spec_of({"url": URL.replace("one", "two"), "name": "one.csv"}).name


def test_another_container_is_another_dataset_and_only_the_mirror_has_it(mirror):
    upstream = {"sha256": digest(b"theirs"), "bytes": 6}
    before = spec_of(upstream)
    root = mirror({"x": b"mine"}, {"file": "x"})
    spec = spec_of(upstream)
    assert spec.name != before.name
    assert places_of(spec, "one.csv") == [f"{root}/x"]
    assert spec.subset is None
    assert content_of(upstream) == [b"mine"]


def test_a_subset_is_another_dataset_and_says_so(mirror):
    rows = {"train": "3 of 9", "test": "1 of 4"}
    mirror({"x.subset": b"mine"}, {"file": "x.subset", "status": "subset", "rows": rows, "note": "the first ones"})
    spec = spec_of({})
    assert spec.subset == "one.csv: train 3 of 9, test 1 of 4 (the first ones)"
    receipt = read_receipt(acquire(spec) / "dataset.json")
    assert receipt.paths == ("one.csv",)
    assert receipt.subset == spec.subset == origin_of(receipt).subset
    mirror({}, *()).joinpath("MANIFEST.json").unlink()
    assert spec_of({}).name != spec.name


def test_a_task_of_a_subset_has_it_on_its_card_with_the_licence(mirror):
    digits = Path(sklearn.datasets.__file__).parent / "data" / "digits.csv.gz"
    part = gzip.compress(b"".join(gzip.decompress(digits.read_bytes()).splitlines(keepends=True)[:300]))
    mirror({"d.subset": part}, {"file": "d.subset", "status": "subset", "rows": "300 of 1797"})
    folder = acquire(spec_of({"name": "digits.csv.gz"}))
    settings = {"reader": {"kind": "digits"}, "split": {"by": "item"}, "policy": {}, "target": {"kind": "class"}}
    others = {"dataset": "data", "letters": None, "simulated": False, "licence": "CC0", "code": {}}
    spec = TaskSpec(name="d-0", task="d", **settings, **others)
    prepare_task(spec, folder / "dataset.json", Path("task"))
    card = read_json(Path("task/card.json"))
    assert card["licence"] == "CC0"
    assert card["origin"]["subset"] == "digits.csv.gz: 300 of 1797"
    assert card["origin"]["files"][0]["sha256"] == digest(part)


# --- real files -------------------------------------------------------------------------------------------------

UCI = "https://archive.ics.uci.edu/ml/machine-learning-databases/molecular-biology/splice-junction-gene-sequences"
MAESTRO = "https://storage.googleapis.com/magentadata/datasets/maestro/v3.0.0/maestro-v3.0.0-midi.zip"
MNIST = {  # as published
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
REAL = {
    "uci": (
        [{"url": f"{UCI}/splice.data", "sha256": "ebbae10c85d3c285e2a2489a37e42bc2ee8d91d15005e391a9962fa3389a114f"}],
        1, "splice.data", None,
    ),
    "mnist": (
        [{"url": f"http://yann.lecun.com/exdb/mnist/{name}", "sha256": sha256} for name, sha256 in MNIST.items()],
        4, "train-labels-idx1-ubyte.gz", None,
    ),
    "cola": (
        [{"url": "https://dl.fbaipublicfiles.com/glue/data/CoLA.zip", "unpack": True, "bytes": 376971}],
        3, "CoLA/dev.tsv", None,
    ),
    "cifar10": (
        [{"url": "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz", "unpack": True}],
        3, "cifar-10-batches-py/test_batch", "data_batch_1: 3000 (of 10000)",
    ),
    "maestro": ([{"url": MAESTRO, "unpack": True}], 259, "maestro-v3.0.0/maestro-v3.0.0.csv", "256 of 1276"),
}  # fmt: skip


@pytest.fixture
def real(mirrored, monkeypatch):
    monkeypatch.setenv("CROSSOVER_MIRROR", str(mirrored("MANIFEST.json").resolve().parent))


@pytest.mark.parametrize(("files", "number", "one", "subset"), REAL.values(), ids=REAL.keys())
def test_real_files_come_from_the_mirror(real, files, number, one, subset):
    start = time.perf_counter()
    spec = spec_of(*files)
    assert time.perf_counter() - start < 0.2, "planning must not wait for data"
    folder = acquire(spec)
    receipt = read_receipt(folder / "dataset.json")
    assert len(receipt.paths) == number
    assert one in receipt.paths
    assert subset in (receipt.subset or "") if subset else receipt.subset is None
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        {"dataset.json", *(file.split("/")[0] for file in receipt.paths)}
    )


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("mnist/train-labels-idx1-ubyte.gz", "has the SHA-256 [0-9a-f]{64}, not 3552"),
        ("mnist/t10k-labels-idx1-ubyte.gz", "damaged or incomplete"),
        ("glue/CoLA.zip", "damaged, incomplete"),
        ("cifar10/cifar-10-python.tar.gz.subset", "damaged, incomplete"),
        ("remote_homology/remote_homology.tar.gz.subset", "damaged, incomplete"),
    ],
)
def test_a_real_file_that_was_cut_off_is_refused(mirrored, mirror, path, words):
    name = Path(path).name.removesuffix(".subset")
    content = mirrored(path).read_bytes()
    mirror({f"data.org/{name}": content[: len(content) * 2 // 3]})
    known = MNIST[name] if "SHA" in words else None
    file = {"url": f"https://data.org/{name}", "unpack": "ubyte" not in name, "sha256": known}
    spec = spec_of(file)
    with pytest.raises(UserError, match=words):
        acquire(spec)
    folder = Path("resources/downloads", spec.name)
    assert list(folder.iterdir()) == [], "nothing is left that the next run could take for good"
    assert not Path("resources/downloads/checksums.json").exists()
    shutil.copy(mirrored(path), Path("mirror/data.org") / name)
    assert read_receipt(acquire(spec) / "dataset.json").files
