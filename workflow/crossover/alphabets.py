"""Alphabets of DNA and proteins, and other names that readers and encodings have to agree on.

The last letter of an alphabet stands for all others (IUPAC: any nucleotide, any amino acid).
"""

from typing import Literal

AlphabetName = Literal["dna", "protein"]
DNA = "ACGTN"
PROTEIN = "ACDEFGHIKLMNPQRSTVWYX"
ALPHABETS = {"dna": DNA, "protein": PROTEIN}
SPECIAL = ("[CLS]", "[SEP]")  # in front of a sequence of symbols and behind it, where an encoding asks for them
UNKNOWN = "<unknown>"  # symbol for everything that a vocabulary learned from data does not contain
WHOLE_NOTES = "numbers (four per note)"  # unit of sequences of notes with time, pitch, duration and velocity
