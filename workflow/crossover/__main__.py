"""`python -m crossover`, which is what the rules call."""

import signal
import sys

# Ctrl-C ends the process at once: in the middle of an import it would give a puzzling traceback.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from crossover.cli import main  # noqa: E402

sys.exit(main())
