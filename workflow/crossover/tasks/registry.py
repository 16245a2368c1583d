"""Which module reads which kind of task.

Adding a reader is one module with `read(settings, receipt) -> Items`, and one line here. The modules are named
rather than imported: a reader's own libraries load only when it runs, and the code that a task depends on is
its own reader alone.
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

# What finds similar sequences for the splits that keep them on one side.
CLUSTERING = "crossover.tasks.prepare.similarity"
