"""The tokenizer of an encoding: one token for each of its symbols or k-mers."""

from collections import Counter

from tokenizers import Tokenizer, models, pre_tokenizers, processors

from crossover.alphabets import ALPHABETS, SPECIAL, UNKNOWN
from crossover.errors import UserError
from crossover.specs.descriptions import EncoderFacts


def make_tokenizer(encoding: EncoderFacts, special: list[str]) -> Tokenizer:
    """Return a word-level tokenizer whose tokens are special ones and then the symbols of an encoding, in the order of their ids.

    It reads letters one by one, and longer symbols, such as k-mers, between spaces. Where the encoding puts sequences between
    special tokens, so does the tokenizer.

    Args:
        encoding: of a task's tokens.
        special: tokens that the objective needs.

    Raises:
        UserError: two tokens are spelled alike.
    """
    assert encoding.vocabulary is not None
    tokens = [*special, *encoding.vocabulary]
    if twice := [token for token, number in Counter(tokens).items() if number > 1]:
        raise UserError(
            f"the task has the symbol {twice[0]!r}, which is the name of a special token too; rename it in the raw files."
        )
    around = SPECIAL if encoding.special_tokens else ()
    symbols = encoding.vocabulary[: len(encoding.vocabulary) - len(around)]
    ids = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=_unknown_symbol(symbols)))
    tokenizer.add_special_tokens([*special, *around])
    letters = all(len(symbol) == 1 for symbol in symbols if symbol != UNKNOWN)
    cuts = [] if " " in symbols else [pre_tokenizers.WhitespaceSplit()]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [*cuts, *([pre_tokenizers.Split("", "isolated")] if letters else [])]
    )
    if around:
        pairs = [(token, ids[token]) for token in around]
        tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=pairs)
    return tokenizer


def _unknown_symbol(symbols: tuple[str, ...]) -> str:
    """Return the symbol that stands for all that are not in the vocabulary; one that is in none where there is no such symbol."""
    of_alphabet = [letters[-1] for letters in ALPHABETS.values() if tuple(letters) == symbols]
    return of_alphabet[0] if of_alphabet else UNKNOWN
