"""`python -m npgrad` runs the npgrad command."""

import sys

from npgrad.cli import main

sys.exit(main())
