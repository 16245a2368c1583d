"""Bring a checkpoint of any supported format into one form: config.json, model.safetensors and tokenizer.json.

What is written depends on the files alone: the same files give the same bytes.
"""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from crossover.errors import UserError
from crossover.files import read_json, replacing, write_text

if TYPE_CHECKING:
    from torch import Tensor

CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
SHARDS, PICKLE, VOCABULARY = "model.safetensors.index.json", "pytorch_model.bin", "vocab.txt"
GGUF = ".gguf"
FILES = (CONFIG, "*.safetensors", SHARDS, PICKLE, f"*{GGUF}", TOKENIZER, VOCABULARY)  # patterns of all that is read


def find_weights(folder: Path) -> Path:
    """Return the file that describes a checkpoint's weights, in the first format that is there.

    Returns:
        Of one safetensors file, the list of its shards, a PyTorch file, or the only GGUF file.

    Raises:
        UserError: there is none, or there are several GGUF files.
    """
    for name in (WEIGHTS, SHARDS, PICKLE):
        if (folder / name).is_file():
            return folder / name
    found = sorted(folder.glob(f"*{GGUF}"))
    if len(found) != 1:
        what = f"{len(found)} GGUF files" if found else f"no {WEIGHTS}, {SHARDS}, {PICKLE} or {GGUF} file"
        raise UserError(f"{folder} has {what}; a checkpoint is a folder with the weights of one model.")
    return found[0]


def convert(source: Path, folder: Path, tokenizer: Path | None = None) -> tuple[str, ...]:
    """Write config.json, model.safetensors and tokenizer.json of a checkpoint.

    Args:
        source: the folder with its files; a model.safetensors is moved, all others are read.
        folder: where the files go.
        tokenizer: tokenizer.json or vocab.txt, if it is not in `source`.

    Returns:
        How the files differ from the original ones, in words.

    Raises:
        UserError: a file is missing, damaged, or not supported.
    """
    weights = find_weights(source)
    if weights.suffix == GGUF:
        from crossover.acquire.gguf import dequantise

        return dequantise(weights, folder)
    _copy_config(source, folder)
    return (*_write_weights(weights, folder / WEIGHTS), *_write_tokenizer(source, folder / TOKENIZER, tokenizer))


def shard_names(index: Path) -> list[str]:
    """Return the names of the safetensors files that an index lists.

    Raises:
        UserError: the file is not an index, or a name leads out of its folder.
    """
    content = read_json(index)
    places = content.get("weight_map") if isinstance(content, dict) else None
    names = sorted(set(places.values())) if isinstance(places, dict) and places else []
    if not names or any(name != Path(name).name or not name.endswith(".safetensors") for name in names):
        raise UserError(f"{index} does not list safetensors files beside it in weight_map; fetch the checkpoint again.")
    return names


def _copy_config(source: Path, folder: Path) -> None:
    if not (source / CONFIG).is_file():
        raise UserError(f"{source / CONFIG} is missing; a checkpoint is a folder with config.json and weights.")
    _copy(source / CONFIG, folder / CONFIG)


def _copy(source: Path, target: Path) -> None:
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)


def _write_weights(weights: Path, target: Path) -> tuple[str, ...]:
    """Write model.safetensors; return how it differs from the original file, in words."""
    if weights.name == WEIGHTS:
        _check_complete(weights)
        weights.replace(target)
        return ()
    if weights.name == SHARDS:
        shards = [weights.with_name(name) for name in shard_names(weights)]
        _save({name: tensor for path in shards for name, tensor in _read_shard(path).items()}, target)
        return (f"weights joined from {len(shards)} safetensors files",)
    _save(_read_pickle(weights), target)
    return (f"weights converted from {PICKLE}",)


def _check_complete(path: Path) -> None:
    """Raise UserError unless a safetensors file is complete."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):
            pass
    except SafetensorError as error:
        raise UserError(f"{path} is not a complete safetensors file ({error}); get it again.") from error


def _read_shard(path: Path) -> "dict[str, Tensor]":
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise UserError(f"{path} is missing, which {SHARDS} lists; get all files of the checkpoint.")
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except SafetensorError as error:
        raise UserError(f"{path} is not a complete safetensors file ({error}); get it again.") from error
    return tensors


def _read_pickle(path: Path) -> "dict[str, Tensor]":
    """Read the tensors of a PyTorch file, without running code that it may contain."""
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the library and pickle raise many kinds of exceptions for damaged files
        reason = " ".join(str(error).split(". ")[0].split()) or type(error).__name__
        raise UserError(
            f"{path} cannot be read as weights alone ({reason}); code in it is never run: get it again, or convert it to "
            "safetensors."
        ) from error
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise UserError(f"{path} does not map names to tensors; save the state_dict of the model.")
    return content


def _save(tensors: "dict[str, Tensor]", target: Path) -> None:
    """Write tensors as one safetensors file; those that share memory are written each."""
    from safetensors.torch import save_file

    with replacing(target) as temporary:
        save_file({name: tensor.clone().contiguous() for name, tensor in tensors.items()}, temporary, {"format": "pt"})


def _write_tokenizer(source: Path, target: Path, elsewhere: Path | None) -> tuple[str, ...]:
    """Write tokenizer.json; return how it differs from the original file, in words."""
    places = [path for path in (elsewhere, source / TOKENIZER, source / VOCABULARY) if path and path.is_file()]
    if not places:
        write_text(target, "null\n")
        return ()
    if places[0].suffix == ".json":
        _copy(places[0], target)
        return ()
    return (_write_wordpiece(places[0], target),)


def _write_wordpiece(vocabulary: Path, target: Path) -> str:
    """Write the tokenizer of a BERT from its list of tokens; return how it was made, in words.

    Upper case is kept where tokens have some. Where no token continues a word ("##ing"), the tokens are letters, and a text is
    read letter by letter.
    """
    from tokenizers import Regex, pre_tokenizers
    from tokenizers.implementations import BertWordPieceTokenizer

    tokens = vocabulary.read_text(encoding="utf-8").splitlines()
    special = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
    if missing := sorted({"[UNK]", "[CLS]", "[SEP]"} - set(tokens)):
        raise UserError(
            f"{vocabulary} lacks {', '.join(missing)}; only vocabularies of WordPiece, as BERT's, are supported."
        )
    cased = any(token != token.lower() for token in set(tokens) - special)
    made = BertWordPieceTokenizer({token: index for index, token in enumerate(tokens)}, lowercase=not cased)
    letters = not any(token.startswith("##") for token in tokens)
    if letters:
        split = pre_tokenizers.Split(Regex("."), "isolated")
        made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), split])
    write_text(target, json.dumps(json.loads(made.to_str()), indent=2, ensure_ascii=False) + "\n")
    return f"tokenizer made from {vocabulary.name}, {'letter by letter' if letters else 'with WordPiece'}"
