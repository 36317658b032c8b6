"""Reading and writing networks: file formats, downloads, labels and checkpoints."""
