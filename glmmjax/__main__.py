"""``python -m glmmjax``."""

import sys

from glmmjax.cli import main

if __name__ == "__main__":
    sys.exit(main())
