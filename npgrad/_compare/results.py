"""What a comparison found: a row for each recorded output and gradient, and how the first that differs does."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

from npgrad._typing import Array
from npgrad._verdicts import Diagnosis

EQUAL, DIFFERS = "equal to rounding", "DIFFERS"


@dataclass(frozen=True)
class ComparedLayer:
    """One recorded output, or gradient of an output, beside npgrad's.

    Parameters
    ----------
    name : str
        The layer that made it: in backward, the one whose backward gave the gradient.
    kind : str
        The layer's type.
    key : str
        Its name in the recording; in backward, that of the output whose gradient it is.
    direction : {"forward", "backward"}
    error : float
        The largest difference by this layer alone, as a share of the largest number: npgrad's layer was given what was
        recorded before it.
    tolerance : float
        The largest error that is rounding: 16 times that of npgrad's own float32, or of the recorded numbers.
    whole, rounding : float
        The difference of a pass without the recorded outputs, and that between npgrad's float32 and float64 passes.
    verdict : {"equal to rounding", "DIFFERS"}
    diagnoses : tuple of Diagnosis
        How it differs, the simplest explanation first; "none of these" if none fits.
    between : tuple of str
        The layers that were not recorded between this one and those before, which may be what differs.
    maps : tuple of ndarray (H, W)
        If it differs: npgrad's, what was recorded, and the difference, of the first sample, summed over channels.
    """

    name: str
    kind: str
    key: str
    direction: str
    error: float
    tolerance: float
    whole: float
    rounding: float
    verdict: str
    diagnoses: tuple[Diagnosis, ...] = ()
    between: tuple[str, ...] = ()
    maps: tuple[Array, ...] = field(default=(), repr=False, compare=False)

    @property
    def text(self) -> str:
        """How it differs, in one line."""
        return "; or ".join(found.text for found in self.diagnoses[:2])


@dataclass(frozen=True)
class Comparison:
    """The result of `compare`; true if everything is equal to rounding.

    Parameters
    ----------
    layers : tuple of ComparedLayer
        Forward in the order of the pass, then backward in the order of the walk.
    input : tuple of Diagnosis
        How the recorded input differs from that of the image, if one was given; empty if it does not.
    notes : tuple of str
    skipped : tuple of str
        Recorded outputs that belong to no layer of the network.
    """

    layers: tuple[ComparedLayer, ...]
    input: tuple[Diagnosis, ...] = ()
    notes: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()

    @property
    def different(self) -> tuple[ComparedLayer, ...]:
        """The rows that differ, each by its own layer, the first first."""
        return tuple(layer for layer in self.layers if layer.verdict == DIFFERS)

    @property
    def first(self) -> ComparedLayer | None:
        """The first layer that differs, in forward or, if none does, in backward; None if all are equal."""
        return next(iter(self.different), None)

    def __bool__(self) -> bool:
        return not self.different and not self.input

    def __str__(self) -> str:
        lines = [f"the input differs: {found.text}" for found in self.input[:1]]
        for direction in ("forward", "backward"):
            rows = [layer for layer in self.layers if layer.direction == direction]
            wrong = [layer for layer in rows if layer.verdict == DIFFERS]
            if not rows:
                lines.append(f"{direction}: nothing recorded")
            elif not wrong:
                last = rows[-1]
                noise = f"{last.whole:.1e} at the end of the pass, npgrad's own float32 {last.rounding:.1e}"
                lines.append(f"{direction}: {EQUAL} in {len(rows)} layers ({noise})")
            else:
                first = wrong[0]
                what = "output" if direction == "forward" else f"gradient of the output of {first.key}"
                lines.append(
                    f"{direction}: first layer that differs: {first.name} ({first.kind}), {what}: "
                    f"{first.text} (error {first.error:.1e}, rounding {first.tolerance:.0e})"
                )
                more = [layer.name for layer in wrong[1:]]
                if more:
                    shown = ", ".join(more[:5]) + ", ..." * (len(more) > 5)
                    lines.append(f"{direction}: {len(more)} more differ by themselves: {shown}")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def to_json(self) -> dict[str, Any]:
        """Return a dict of plain values.

        Returns
        -------
        dict
        """
        layers = [_plain(dataclasses.replace(layer, maps=())) for layer in self.layers]
        return {
            "equal": bool(self),
            "input": [_plain(found) for found in self.input],
            "first": self.first and self.first.name,
            "different": [layer.name for layer in self.different],
            "layers": layers,
            "notes": list(self.notes),
            "skipped": list(self.skipped),
        }


def _plain(result):
    """A dataclass as a dict for JSON, which has no infinity and no NaN."""

    def plain(pairs):
        kept = {key: value for key, value in pairs if key != "maps"}
        return {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in kept.items()
        }

    return dataclasses.asdict(result, dict_factory=plain)


def maps_of(own: Array, recorded: Array) -> tuple[Array, ...]:
    """Return the maps of an output that differs: npgrad's, the recorded one's, and their difference, of one sample.

    Parameters
    ----------
    own, recorded : ndarray (N, C, H, W)

    Returns
    -------
    tuple of ndarray (H, W)
        Summed over channels; empty if the outputs are no images of one size.
    """
    if own is None or own.ndim != 4 or own.shape != recorded.shape or min(own.shape[2:]) < 2:
        return ()
    one, other = own[0].sum(axis=0), recorded[0].sum(axis=0)
    return one, other, other - one
