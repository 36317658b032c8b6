"""Distribute batches over threads, and the tape of a batch that was processed in parts."""
