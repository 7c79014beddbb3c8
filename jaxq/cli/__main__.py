"""What `python -m jaxq.cli` runs."""

import sys

from jaxq.cli.entry import main

if __name__ == "__main__":
    sys.exit(main())
