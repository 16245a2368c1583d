"""Which module reads which kind of task.

Adding a reader is one module with `read(settings, receipt) -> Items`, and one line here. The modules are named
rather than imported: a reader's own libraries load only when it runs, and the code that a task depends on is
its own reader alone.
"""

READERS = {
    "table": "crossover.tasks.table",
    "fasta": "crossover.tasks.fasta",
    "three-line": "crossover.tasks.three_line",
    "listops-file": "crossover.tasks.listops_file",
    "midi": "crossover.tasks.midi",
    "maestro": "crossover.tasks.maestro",
    "idx": "crossover.tasks.idx",
    "cifar-batches": "crossover.tasks.cifar",
    "image-folder": "crossover.tasks.images",
    "image-table": "crossover.tasks.image_table",
    "digits": "crossover.tasks.digits",
    "listops": "crossover.tasks.listops",
    "bit-memory": "crossover.tasks.bits",
    "bit-xor": "crossover.tasks.bits",
    "splice-sim": "crossover.tasks.splice",
    "folds-sim": "crossover.tasks.folds",
}

# What finds similar sequences for the splits that keep them on one side.
CLUSTERING = "crossover.tasks.similarity"
