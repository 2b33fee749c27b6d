"""`python -m rlkit`."""

import sys

from rlkit.cli.main import main

sys.exit(main())
