"""Coverage-guided fuzzing of everything that reads a stranger's file. `make fuzz`, or `python -m fuzz --help`."""
