"""Guess a task's file from a user's own data: what kind of file it is, what its columns hold, what is to be predicted.

Every guess is written with its reason, for the user to correct; `crossover check-task` then shows what was understood.
"""

import gzip
import itertools
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from crossover.config.base import NAME
from crossover.config.load import CONFIG
from crossover.errors import UserError
from crossover.files import write_text

LOOKED_AT = 100_000  # records that a guess is made from
MOST_CLASSES = 100
FASTA = (".fa", ".fasta", ".faa", ".fna", ".ffn")
TABLES = {".csv": "csv", ".tsv": "tsv", ".txt": "tsv", ".jsonl": "jsonl", ".json": "json", ".parquet": "parquet"}
MIDI = (".mid", ".midi")
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff")
DNA, PROTEIN = set("ACGTUNRYKMSWBDHV-."), set("ABCDEFGHIKLMNPQRSTUVWXYZ*-.")
SPLITS = {"train", "training", "valid", "validation", "val", "dev", "test"}
TARGET_NAMES = ("label", "labels", "class", "target", "y", "category", "score", "value")
ITEM_NAMES = ("id", "item", "name", "accession", "idx", "index")
GROUP_NAMES = ("group", "cluster", "family", "superfamily", "piece", "patient", "subject")
WORD = r"^\S+\s+(\S+)"
SUPERFAMILY = r"^\S+ ([a-z]\.\d+\.\d+)\.\d+"  # in the headers of SCOP
SPLIT_IN_HEADER = r"\b(train|valid|validation|dev|test)\s*$"
# What may be a label in a FASTA header: where it stands, and the pattern that finds it.
LABELS_IN_HEADERS = (
    ("the SCOP class", r"^\S+ ([a-z])\.\d+\.\d+\.\d+"),
    ("what follows the last |", r"\|([^|\s]+)\s*$"),
    ("the second word", WORD),
    ("the last word", r"\s(\S+)\s*$"),
    ("what follows the first - or _ of the last word", r"[-_]([^\s_-]+)\s*$"),
)


@dataclass
class Guess:
    """What was understood of a user's data.

    Attributes:
        settings: the task, as its YAML file holds it.
        remarks: why, by key at the top of the file.
    """

    settings: dict[str, Any]
    remarks: dict[str, str] = field(default_factory=dict)


def new_task(source: str, name: str | None = None) -> Path:
    """Write config/tasks/<name>.yaml for a file or folder of one's own, or for `hub:<dataset id>`.

    Args:
        source: a FASTA file, a table (CSV, TSV, JSON, JSONL, Parquet), a folder of MIDI files or of images, or
            `hub:OWNER/NAME`.
        name: the task's name; by default the file's.

    Returns:
        The path of what was written.

    Raises:
        UserError: the file is not there, is of no known kind, or the task exists already.
    """
    name = name or re.sub(r"[^a-z0-9]+", "-", Path(source).name.split(".")[0].lower()).strip("-")
    if not re.fullmatch(NAME, name):
        raise UserError(f"{name!r} cannot be a task's name; give --name with lower-case letters, digits and dashes.")
    target = CONFIG / "tasks" / f"{name}.yaml"
    if target.exists():
        raise UserError(f"{target} exists already; give another --name, or delete it first.")
    write_text(target, as_yaml(guess(source, name)))
    return target


def guess(source: str, name: str) -> Guess:
    """Look at a user's data and guess the task; see `new_task`."""
    if source.startswith("hub:"):
        return _hub(source.removeprefix("hub:"), name)
    path = Path(source)
    if not path.exists():
        raise UserError(f"{path} is not there; give the path of a file or folder, or hub:OWNER/NAME.")
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if path.is_dir():
        return _folder(path, name)
    if suffix in FASTA:
        return _fasta(path, name)
    if suffix in TABLES:
        return _table(path, name, TABLES[suffix])
    known = ", ".join((*FASTA, *TABLES))
    raise UserError(f"{path}: files that end in {suffix or 'nothing'} are not known; expected {known}, or a folder.")


def as_yaml(found: Guess) -> str:
    """The text of the task's file: each key with the reason for its value above it."""
    parts = [
        "# Written by `crossover new-task`: read it, correct it, then run `crossover check-task`.\n"
        "# Every key is explained in config/reference.md.\n"
    ]
    for key, value in found.settings.items():
        remark = "".join(f"# {line}\n" for line in found.remarks.get(key, "").splitlines())
        parts.append(remark + yaml.safe_dump({key: value}, sort_keys=False, allow_unicode=True, width=110))
    return "".join(parts)


def _start(name: str, domain: str, path: Path, reader: dict[str, Any]) -> Guess:
    settings = {
        "title": name.replace("-", " ").capitalize(),
        "description": f"Own data, {path.name}.",
        "domain": domain,
        "licence": "unknown",
        "citation": "none",
        "dataset": {"kind": "folder", "name": name, "path": str(path)},
        "reader": reader,
    }
    return Guess(settings, {"licence": "Shown in the report."})


# --- sequences of letters -----------------------------------------------------------------------------------


def _fasta(path: Path, name: str) -> Guess:
    from Bio.SeqIO.FastaIO import SimpleFastaParser

    try:
        opened: Callable = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8") as stream:
            records = list(itertools.islice(SimpleFastaParser(stream), LOOKED_AT))
    except (OSError, EOFError, ValueError) as error:
        raise UserError(f"{path} is not a readable FASTA file ({error}); correct it.") from error
    if not records:
        raise UserError(f"{path} has no FASTA record; each begins with a line >name.")
    found = _letters([text for _, text in records], name, path, {"kind": "fasta", "file": path.name})
    headers = [header for header, _ in records]
    label, values, reason = _label_in(headers)
    found.settings["reader"]["label"] = label
    found.remarks["reader"] = f"label: a regular expression whose group is the label.\n{reason}"
    if all(re.search(SUPERFAMILY, header) for header in headers):
        found.settings["reader"]["group"] = SUPERFAMILY
        found.remarks["reader"] += "\ngroup: the SCOP superfamily, so that relatives stay in one split."
    if any(re.search(SPLIT_IN_HEADER, header) for header in headers):
        found.settings["reader"]["split"] = SPLIT_IN_HEADER
        found.remarks["reader"] += "\nsplit: some headers end in the name of a split; the others are for training."
    _predict(found, values)
    return _finish(found)


def _label_in(headers: list[str]) -> tuple[str, list[str], str]:
    """The pattern that finds labels in headers, what it finds, and why it was chosen."""
    keys = {key for header in headers[:100] for key in re.findall(r"(\w+)=", header)}
    candidates = [(f"what follows {key}=", rf"\b{key}=([^\s;|,]+)") for key in sorted(keys)]
    for words, pattern in (*candidates, *LABELS_IN_HEADERS):
        found = [match[1] for header in headers if (match := re.search(pattern, header))]
        if len(found) == len(headers) and (_are_classes(found) or _are_numbers(found)):
            return pattern, found, f"Taken: {words}, as in {headers[0]!r}."
    return (
        WORD,
        [],
        f"No label was found in headers such as {headers[0]!r}: correct the pattern, or give a table of labels.",
    )


def _letters(texts: list[str], name: str, path: Path, reader: dict[str, Any]) -> Guess:
    """A task of DNA, protein or text, by the letters."""
    letters: Counter[str] = Counter("".join(texts).upper())
    total = sum(letters.values()) or 1
    longest = max(map(len, texts), default=1)
    length = min(1024, max(8, longest))
    if sum(letters[letter] for letter in "ACGTUN") / total > 0.95 and set(letters) <= DNA:
        found, alphabet = _start(name, "dna", path, reader), "dna"
    elif set(letters) <= PROTEIN:
        found, alphabet = _start(name, "protein", path, reader), "protein"
    else:
        found = _start(name, "text", path, reader)
        found.settings["encoding"] = {"kind": "subwords", "tokenizer": "checkpoint", "max_length": 128}
        found.remarks["encoding"] = "Text is cut into the subwords of each checkpoint's own tokenizer."
        return found
    found.settings["encoding"] = {"kind": "symbols", "alphabet": alphabet, "max_length": length}
    common = "".join(letter for letter, _ in letters.most_common(30))
    found.remarks["encoding"] = f"Letters seen: {common}; the longest of {len(texts)} sequences has {longest}."
    return found


# --- tables -------------------------------------------------------------------------------------------------


def _table(path: Path, name: str, form: str) -> Guess:
    table = _head(path, form)
    columns, reasons = _columns(table)
    if "sequence" not in columns:
        raise UserError(f"{path}: no column holds text of several letters; a task needs one with the sequences.")
    texts = table[columns["sequence"]].astype(str).tolist()
    found = _letters(texts, name, path, {"kind": "table", "file": path.name, "format": form, "columns": columns})
    values = table[columns["target"]].astype(str).tolist() if "target" in columns else []
    if not values:
        columns["target"] = "FILL-IN"
        reasons.append("No column looked like a label: name one as columns.target.")
    _predict(found, values)
    found.remarks["reader"] = "\n".join([f"Columns of the file: {', '.join(map(str, table.columns))}.", *reasons])
    return _finish(found)


def _head(path: Path, form: str) -> Any:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        match form:
            case "parquet":
                return next(pq.ParquetFile(path).iter_batches(LOOKED_AT)).to_pandas()
            case "jsonl":
                return pd.read_json(path, lines=True, nrows=LOOKED_AT)
            case "json":
                return pd.read_json(path).head(LOOKED_AT)
        return pd.read_csv(path, sep="," if form == "csv" else "\t", nrows=LOOKED_AT)
    except (OSError, ValueError, StopIteration, pa.ArrowInvalid) as error:
        reason = " ".join(str(error).split()) or "it has no rows"
        raise UserError(f"{path} cannot be read as {form} ({reason}); correct it.") from error


def _columns(table: Any) -> tuple[dict[str, str], list[str]]:
    """Which column holds what, by names and contents, and why."""
    texts = {name: table[name].dropna().astype(str) for name in table.columns}
    columns: dict[str, str] = {}
    reasons = []

    def take(role: str, name: str, reason: str) -> None:
        columns[role] = name
        reasons.append(f"{role}: {name}, since {reason}.")

    long = {
        name: text.str.len().mean() for name, text in texts.items() if len(text) and table[name].dtype.kind in "OTU"
    }
    if long and max(long.values()) > 1:
        take("sequence", max(long, key=lambda name: long[name]), "its texts are the longest")
    left = [name for name in table.columns if name not in columns.values()]
    for name in left:
        values = set(texts[name].str.lower())
        if len(values) > 1 and values <= SPLITS:
            take("split", name, f"its values are {', '.join(sorted(values))}")
    for role, names in (("item", ITEM_NAMES), ("group", GROUP_NAMES)):
        for name in left:
            if str(name).lower() in names and (role == "group" or texts[name].is_unique) and role not in columns:
                take(role, name, "of its name" + (", and no value comes twice" if role == "item" else ""))
    left = [name for name in left if name not in columns.values()]
    by_name = [name for name in left if str(name).lower() in TARGET_NAMES]
    by_content = [name for name in left if _are_classes(texts[name].tolist()) or _are_numbers(texts[name].tolist())]
    if by_name or by_content:
        take("target", (by_name or by_content)[0], "of its name" if by_name else "its values could be labels")
    return columns, reasons


# --- what is predicted, and how it is split -----------------------------------------------------------------


def _are_classes(values: list[str]) -> bool:
    return 2 <= len(set(values)) <= min(MOST_CLASSES, len(values) // 3)


def _are_numbers(values: list[str]) -> bool:
    return len(set(values)) > 2 and all(
        re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", value) for value in values
    )


def _predict(found: Guess, values: list[str]) -> None:
    if values and not _are_classes(values) and _are_numbers(values):
        found.settings["target"] = {"kind": "number", "metric": "spearman"}
        found.remarks["target"] = f"The labels are numbers, such as {values[0]}."
        return
    classes = Counter(values)
    found.settings["target"] = {"kind": "class", "metric": "accuracy"}
    listed = ", ".join(f"{label} ({count})" for label, count in classes.most_common(8))
    found.remarks["target"] = f"Classes of the first {len(values)} records: {listed or 'none was found'}."


def _finish(found: Guess) -> Guess:
    """Add the split, and put the keys into their order."""
    reader = found.settings["reader"]
    columns = reader.get("columns", {})
    if "files" in reader or "split" in columns or "split" in reader:
        split: dict[str, Any] = {"by": "given", "validation": 0.15}
        why = "The data say which split an item belongs to; validation is taken from training if they name none."
    elif "group" in columns or "group" in reader or reader["kind"] == "midi":
        split, why = {"by": "group", "validation": 0.15, "test": 0.2, "seed": 0}, "Items of one group stay together."
    else:
        split = {"by": "item", "validation": 0.15, "test": 0.2, "seed": 0}
        why = "At random. For proteins and DNA with relatives among them, `by: similarity` keeps relatives together."
    found.settings["split"], found.remarks["split"] = split, why
    order = ("title description domain licence citation dataset reader split target encoding").split()
    found.settings = {key: found.settings[key] for key in order}
    return found


# --- folders, and the hub -----------------------------------------------------------------------------------


def _folder(path: Path, name: str) -> Guess:
    files = [file for file in path.rglob("*") if file.is_file() and not file.name.startswith(".")]
    kinds = Counter(file.suffix.lower() for file in files)
    midi, images = (sum(kinds[suffix] for suffix in group) for group in (MIDI, IMAGES))
    if midi and midi >= images:
        found = _start(name, "music", path, {"kind": "midi", "segment": 128})
        found.settings["encoding"] = {"kind": "symbols", "alphabet": "midi-pitch", "max_length": 128}
        found.settings["target"] = {"kind": "class", "metric": "accuracy", "vote": True}
        found.remarks["target"] = "Segments of a piece vote on its class."
    elif images:
        found = _image_folder(path, name, [file for file in files if file.suffix.lower() in IMAGES])
    else:
        listed = ", ".join(sorted(kinds)) or "nothing"
        raise UserError(f"{path} holds {listed}, but neither MIDI files nor images; name one file instead.")
    classes = sorted({file.relative_to(path).parts[0] for file in files if len(file.relative_to(path).parts) > 1})
    if len(classes) < 2:
        raise UserError(f"{path} needs a sub-folder for each class, with its files in it, but has {len(classes)}.")
    found.remarks["reader"] = f"{len(files)} files; the sub-folders are the classes: {', '.join(classes[:12])}."
    return _finish(found)


def _image_folder(path: Path, name: str, files: list[Path]) -> Guess:
    from PIL import Image

    sizes: Counter[tuple[int, int]] = Counter()
    for file in files[:LOOKED_AT]:
        try:
            with Image.open(file) as image:
                sizes[image.height, image.width] += 1
        except OSError:
            continue  # check-task names it
    if not sizes:
        raise UserError(f"{path}: none of the images can be opened; correct the files.")
    rows, columns = sizes.most_common(1)[0][0]
    found = _start(name, "images", path, {"kind": "image-folder"})
    if len(sizes) > 1:
        found.settings["reader"]["resize"] = [rows, columns]
    patch = [_patch(rows), _patch(columns)]
    found.settings["encoding"] = {"kind": "patches", "patch": patch}
    found.remarks["encoding"] = f"Most images have {rows} x {columns} pixels: {rows // patch[0] * (columns // patch[1])} patches."  # fmt: skip
    found.settings["target"] = {"kind": "class", "metric": "accuracy"}
    return found


def _patch(pixels: int) -> int:
    """The size of a patch that divides an edge into at most 16 parts."""
    return next(size for size in range(max(1, -(-pixels // 16)), pixels + 1) if pixels % size == 0)


def _hub(identifier: str, name: str) -> Guess:
    reader = {"kind": "table", "format": "parquet", "files": {"train": "train.parquet", "test": "test.parquet"}}
    reader["columns"] = {"sequence": "text", "target": "label"}
    found = _start(name, "text", Path(identifier), reader)
    found.settings["dataset"] = {"kind": "hub", "name": name, "id": identifier, "revision": "FILL-IN",
                                 "splits": {"train": "train", "test": "test"}}  # fmt: skip
    found.remarks["dataset"] = (
        "revision: the commit of the dataset, from its page on the hub; it pins what is downloaded."
    )
    found.remarks["reader"] = "The hub was not asked: correct columns and splits after its page."
    found.settings["target"] = {"kind": "class", "metric": "accuracy"}
    found.settings["encoding"] = {"kind": "subwords", "tokenizer": "checkpoint", "max_length": 128}
    return _finish(found)
