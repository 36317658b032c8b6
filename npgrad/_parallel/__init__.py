"""Batches over threads, and the tape of a batch that went through the network in parts."""
