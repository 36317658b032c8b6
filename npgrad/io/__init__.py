"""Reading and writing networks: loading, conversion, file formats, downloads, class names and checkpoints.

loading          `load`: a network by path or name
converting       `convert`: weights files of other libraries to a Model; `architectures` recognizes the network
formats          one reader per file format
known_weights    pretrained weights known by name: downloaded, converted and cached; `download` fetches one file
labels           class names
checkpoints      the state of a run, saved to continue it later
"""

from npgrad.io.loading import load

__all__ = ["convert", "load"]


def __getattr__(name):
    if name == "convert":  # imports every reader, so only when first used
        from npgrad.io.converting import convert

        return convert
    raise AttributeError(f"module 'npgrad.io' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
