"""`python -m npgrad`: the npgrad command."""

import sys

from npgrad.cli import main

sys.exit(main())
