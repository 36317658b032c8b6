"""Code that people copy to record a network in another framework: the files record_*.txt beside this one."""

from pathlib import Path

FRAMEWORKS = ("torch", "jax", "keras")


def snippet(framework: str) -> str:
    """Return the code that records a network of a framework.

    Parameters
    ----------
    framework : {"torch", "jax", "keras"}

    Returns
    -------
    str
    """
    return (Path(__file__).parent / f"record_{framework}.txt").read_text(encoding="utf-8")
