"""Coverage-guided fuzzing of everything that reads untrusted files: `make fuzz`, or `python -m fuzz --help`."""
