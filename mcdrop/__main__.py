"""`python -m mcdrop` is the command `mcdrop`."""

import sys

from mcdrop.cli import main

if __name__ == "__main__":
    sys.exit(main())
