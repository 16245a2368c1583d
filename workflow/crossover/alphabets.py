"""The letters of DNA and proteins, and last what stands for the rest (IUPAC: any nucleotide, any amino acid)."""

DNA = "ACGTN"
PROTEIN = "ACDEFGHIKLMNPQRSTVWYX"
ALPHABETS = {"dna": DNA, "protein": PROTEIN}
UNKNOWN = "<unknown>"  # what stands for all that a vocabulary learned from data lacks
