"""The command line, started as `python -m batchfree`."""

import sys

from batchfree.cli import main

if __name__ == "__main__":
    sys.exit(main())
