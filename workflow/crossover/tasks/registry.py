"""Registry of the modules that read or generate the items of each kind of reader.

To add a reader, add a module with `read(reader, receipt) -> Items`, a line here, and a model in config/readers.py. Modules
are listed by name and not imported: a reader's own libraries load only when it runs, and a task depends only on the code of
its own reader.
"""

READERS = {
    "table": "crossover.tasks.readers.table",
    "fasta": "crossover.tasks.readers.fasta",
    "three-line": "crossover.tasks.readers.three_line",
    "listops-file": "crossover.tasks.readers.listops_file",
    "midi": "crossover.tasks.readers.midi",
    "maestro": "crossover.tasks.readers.maestro",
    "idx": "crossover.tasks.readers.idx",
    "cifar-batches": "crossover.tasks.readers.cifar",
    "image-folder": "crossover.tasks.readers.images",
    "image-table": "crossover.tasks.readers.image_table",
    "digits": "crossover.tasks.readers.digits",
    "listops": "crossover.tasks.generators.listops",
    "bit-memory": "crossover.tasks.generators.bits",
    "bit-xor": "crossover.tasks.generators.bits",
    "splice-sim": "crossover.tasks.generators.splice",
    "folds-sim": "crossover.tasks.generators.folds",
}

# Clusters similar sequences, for splits that keep them together.
CLUSTERING = "crossover.tasks.prepare.similarity"
