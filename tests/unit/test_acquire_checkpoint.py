"""Checkpoints of the Hugging Face hub, fetched by the hub's own library from a server that answers as the hub does."""

import io
import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load, load_file, save
from tiny_runs import VOCABULARY, environment, start, write_checkpoint

from crossover import cli
from crossover.config.checkpoints import Checkpoint
from crossover.config.load import parse
from crossover.errors import UserError
from crossover.files import read_json, sha256
from crossover.specs.checkpoints import CheckpointFiles, FetchedSpec, HubSource
from crossover.specs.descriptions import FetchedDescription
from crossover.training.verification import verify_checkpoint

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ID = "someone/bert"
SIZE = {"architecture": "bert", "blocks": 2, "width": 64, "positions": 24}


class Hub(BaseHTTPRequestHandler):
    """The files of one commit; the answer breaks off once at the byte that `server.broken` says."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        missing, files = self.server.missing, self.server.files
        prefix, _, name = self.path.rpartition("/")
        if prefix != f"/{ID}/resolve/{COMMIT}" or name not in files:
            error = "EntryNotFound" if prefix == f"/{ID}/resolve/{COMMIT}" else missing
            return self._answer(404, b"", {"X-Error-Code": error})
        content, first = files[name], 0
        if "Range" in self.headers:
            first = int(self.headers["Range"].removeprefix("bytes=").partition("-")[0])
            self.server.ranges.append(first)
        facts = {"ETag": f'"{name}"', "X-Repo-Commit": COMMIT}
        facts |= {"Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"} if first else {}
        return self._answer(206 if first else 200, content[first:], facts)

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            broken = self.server.broken if len(body) > 5000 else None
            self.server.broken = None if broken else self.server.broken
            self.wfile.write(body[:broken])

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def hub(tmp_path) -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        write_checkpoint(tmp_path / "bert", "bert", hidden_size=64, intermediate_size=64)
        server.files = {path.name: path.read_bytes() for path in (tmp_path / "bert").iterdir()}
        server.files["tokenizer.json"] = b'{"a": "tokenizer"}'
        server.files["pytorch_model.bin"] = b"a pickle"
        server.missing, server.broken, server.ranges = "RevisionNotFound", None, []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def arguments(root: Path, **settings) -> list[str]:
    """The command that fetches the checkpoint of a spec into `out`."""
    size = SIZE | settings.pop("size", {})
    source = HubSource(**{"id": ID, "revision": COMMIT} | settings)
    spec = FetchedSpec.named("mine", source=source, size=size, code={})
    (root / "spec.json").write_text(spec.text)
    return ["fetch-checkpoint", "--spec", str(root / "spec.json"), "--output", str(root / "out")]


@pytest.fixture
def fetch(hub, tmp_path, monkeypatch, capfd) -> Callable[..., str]:
    """Fetch the checkpoint in this process; returns what the command says on its way, empty when all is well."""
    address = f"http://127.0.0.1:{hub.server_port}"
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, address)
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)

    def run(**settings) -> str:
        status = cli.main(arguments(tmp_path, **settings))
        said = capfd.readouterr().err
        assert (status == 0) == ("crossover:" not in said), said
        assert "Traceback" not in said
        return next((line for line in said.splitlines() if line.startswith("crossover:")), "")

    return run


def test_a_checkpoint_is_fetched_with_its_digests(hub, tmp_path):
    """In a process of its own, which knows the hub by the environment."""
    hub_of_test = {"HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}", "HF_HOME": str(tmp_path / "home")}
    process = start(*arguments(tmp_path), env=environment(**hub_of_test, HF_HUB_DISABLE_TELEMETRY="1"))
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == [
        "checkpoint.json",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    record = FetchedDescription.load(out / "checkpoint.json")
    for name, digest in record.sha256.items():
        assert (out / name).read_bytes() == hub.files[name]
        assert digest == sha256(out / name)
    assert record.origin == f"https://huggingface.co/{ID}/tree/{COMMIT}"
    assert read_json(out / "config.json")["vocab_size"] == VOCABULARY
    files = CheckpointFiles(name=record.name, folder=str(out))
    assert verify_checkpoint(files) == record.sha256["model.safetensors"]
    (out / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(UserError, match=r"model\.safetensors is not the file that \S+checkpoint\.json describes"):
        verify_checkpoint(files)


def test_a_checkpoint_without_a_tokenizer_has_none(hub, fetch, tmp_path):
    del hub.files["tokenizer.json"]
    assert fetch() == ""
    assert json.loads((tmp_path / "out/tokenizer.json").read_text()) is None


def test_a_download_that_broke_off_goes_on_where_it_ended(hub, fetch, tmp_path):
    write_checkpoint(tmp_path / "large", "bert", hidden_size=64, intermediate_size=24_000)
    hub.files["model.safetensors"] = (tmp_path / "large/model.safetensors").read_bytes()
    hub.broken = 15_000_000
    assert fetch() == ""  # the library itself tries again
    assert hub.ranges == [10 * 2**20]  # it writes so many bytes at a time
    assert (tmp_path / "out/model.safetensors").read_bytes() == hub.files["model.safetensors"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"revision": COMMIT[::-1]}, rf"config.json of {ID} at commit {COMMIT[::-1]} could not be downloaded .*404"),
        ({"id": "someone/else"}, rf"config.json of someone/else at commit {COMMIT} could not be downloaded"),
    ],
)
def test_a_wrong_id_or_revision_is_named(settings, expected, fetch):
    assert_said(fetch(**settings), expected)


def test_weights_in_shards_are_fetched_and_joined(hub, fetch, tmp_path):
    whole = load(hub.files.pop("model.safetensors"))
    names = sorted(whole)
    shards = {"a.safetensors": names[:5], "b.safetensors": names[5:]}
    hub.files |= {name: save({key: whole[key] for key in keys}) for name, keys in shards.items()}
    places = {key: name for name, keys in shards.items() for key in keys}
    hub.files["model.safetensors.index.json"] = json.dumps({"weight_map": places}).encode()
    assert fetch() == ""
    assert_same(load_file(tmp_path / "out/model.safetensors"), whole)
    changes = FetchedDescription.load(tmp_path / "out/checkpoint.json").changes
    assert changes == ("weights joined from 2 safetensors files",)
    del hub.files["b.safetensors"]
    assert_said(fetch(), rf"b.safetensors of {ID} at commit {COMMIT} could not be downloaded")


def test_weights_of_pytorch_are_fetched_where_there_are_no_others(hub, fetch, tmp_path):
    whole = load(hub.files.pop("model.safetensors"))
    buffer = io.BytesIO()
    torch.save(whole, buffer)
    hub.files["pytorch_model.bin"] = buffer.getvalue()
    assert fetch() == ""
    assert_same(load_file(tmp_path / "out/model.safetensors"), whole)


def test_weights_in_no_known_format_are_named(hub, fetch):
    del hub.files["model.safetensors"], hub.files["pytorch_model.bin"]
    assert_said(
        fetch(), rf"model.safetensors, model.safetensors.index.json or pytorch_model.bin of {ID} .* could not be"
    )


@pytest.mark.parametrize("size", [{"positions": 512}, {"blocks": 3}, {"width": 65}, {"architecture": "albert"}])
def test_a_checkpoint_of_another_size_is_named_before_its_weights_are_fetched(size, fetch, tmp_path):
    said = fetch(size=size)
    assert_said(
        said, r"config/checkpoints/mine.yaml says architecture \w+, blocks \d, width \d+, positions \d+, but the config"
    )
    assert_said(said, "says architecture bert, blocks 2, width 64, positions 24; correct the file and run again")
    assert not list((tmp_path / "out").rglob("*.safetensors"))


def test_weights_that_were_cut_off_at_the_hub_are_named(hub, fetch, tmp_path):
    hub.files["model.safetensors"] = hub.files["model.safetensors"][:-100]
    assert_said(fetch(), r"\S+/model.safetensors is not a complete safetensors file")
    assert not (tmp_path / "out/checkpoint.json").exists()


def test_an_architecture_that_nobody_knows_is_named_before_its_weights_are_fetched(hub, fetch, tmp_path):
    hub.files["config.json"] = b'{"model_type": "frob"}'
    assert_said(fetch(), "neither crossover nor transformers knows the architecture 'frob'")
    assert not list((tmp_path / "out").rglob("*.safetensors"))


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def assert_said(said: str, expected: str) -> None:
    assert re.search(expected, said), said


@pytest.mark.parametrize("changes", [{"revision": "main"}, {"id": "../../etc"}, {"id": "a/b/c"}, {"id": ""}])
def test_an_id_must_be_one_and_a_revision_a_commit(changes):
    content = {"title": "t", "kind": "hub", "licence": "l", "id": ID, "revision": COMMIT, **SIZE}
    assert parse(Checkpoint, content, "x").id == ID
    with pytest.raises(UserError, match=next(iter(changes))):
        parse(Checkpoint, content | changes, "x")
