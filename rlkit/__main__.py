"""`python -m rlkit`."""

import sys

try:
    from rlkit.cli.main import main

    status = main()
except KeyboardInterrupt:
    status = 130  # before `main` could say so
sys.exit(status)
