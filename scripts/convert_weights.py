#!/usr/bin/env python3
"""`npgrad convert` for a checkout that is not installed: python scripts/convert_weights.py INPUT -o OUT.h5."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from npgrad.cli import main as command


def main(argv=None):
    """Run `npgrad convert` with these arguments (None: the shell's); returns the exit code."""
    return command(["convert", *(sys.argv[1:] if argv is None else argv)])


if __name__ == "__main__":
    sys.exit(main())
