"""What is asked of an image: the methods, the target, and how the result is shown."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from npgrad._asked import target_found
from npgrad._validate import one_of
from npgrad.attribution import methods
from npgrad.errors import InputError
from npgrad.images.colormaps import SIGNS, fitting, is_diverging
from npgrad.model import Model


@dataclass(frozen=True)
class Request:
    """Which attribution of an image to compute, and how to show it.

    Parameters
    ----------
    method : str or tuple of str, default "saliency"
        The name of a method of `npgrad.attribution`, or several names for one labeled contact sheet.
    target : int, str, callable or None
        The class by index or name, or what else is asked for; see `npgrad.targets`. None: each image's top class.
    options : dict
        Keyword arguments for the method, in addition to `npgrad.attribution.methods.defaults`.
    sign : {"absolute", "positive", "signed"} or None
        As for `npgrad.images.heat_maps.heat_map`. None: as the method is usually shown.
    outliers : float, default 2.0
        As for `npgrad.images.heat_maps.heat_map`.
    alone : bool, default False
        Whether to show the heat map without the image in the background.
    bare : bool, default False
        Whether to show only the part that the network sees, at twice its resolution, without a caption.
    colormap : str or None
        As for `npgrad.images.colormaps.color`; of several methods, for those that it suits. None: the default.
    scale : float, "shared" or None
        The value that has the strongest color, in every image. "shared": the largest one that an image or method would
        have by itself. None: each its own, by `outliers`.
    """

    method: str | tuple[str, ...] = "saliency"
    target: Any = None
    options: dict[str, Any] = field(default_factory=dict)
    sign: str | None = None
    outliers: float = 2.0
    alone: bool = False
    bare: bool = False
    colormap: str | None = None
    scale: float | str | None = None

    @property
    def title(self) -> str:
        """The name of the method; of several, "all" or their names separated by commas."""
        if isinstance(self.method, str):
            return self.method
        return "all" if set(self.method) == set(methods.METHODS) else ",".join(self.method)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the methods."""
        return (self.method,) if isinstance(self.method, str) else tuple(self.method)

    def sign_of(self, name: str) -> str:
        """Return which values of a method are shown.

        Parameters
        ----------
        name : str
            The method.

        Returns
        -------
        str
        """
        return self.sign or methods.METHODS[name].sign

    def colormap_of(self, name: str) -> str | None:
        """Return the colormap of a method, or None for the default.

        Parameters
        ----------
        name : str
            The method.

        Returns
        -------
        str or None
        """
        if self.colormap is None or isinstance(self.method, str):
            return self.colormap
        suits = is_diverging(self.colormap) == (self.sign_of(name) == "signed")
        return self.colormap if suits else None

    def check(self, model: Model) -> None:
        """Check the methods, their options and the target before any work is done.

        Parameters
        ----------
        model : Model
            The network.

        Raises
        ------
        InputError
            The method does not take an option, or there are options for several methods.
        UnknownName, TargetError
            There is no such method or class.
        """
        for name in self.names:
            methods.function_of(name)
        self.check_display()
        if self.options and not isinstance(self.method, str):
            raise InputError("options: several methods take different options; expected none")
        for key in self.options:
            if key in ("model", "x", "target", "progress") or not methods.takes(self.method, key):
                raise InputError(f"options: {self.method} takes no {key!r}")
        if self.options.get("return_delta"):
            raise InputError("options: return_delta: expected False, since only the attribution is shown")
        if self.target is not None:
            target_found(model, self.target)

    def check_display(self) -> None:
        """Check how the result is to be shown.

        Raises
        ------
        InputError
            The sign, outliers, colormap or scale cannot be used.
        UnknownName
            There is no such colormap.
        """
        if not 0 <= self.outliers < 100:
            raise InputError(f"outliers: expected a percentage, 0 <= outliers < 100; found {self.outliers}")
        if self.sign is not None:
            one_of(self.sign, "sign", SIGNS)
        if self.colormap is not None:
            is_diverging(self.colormap)
            if isinstance(self.method, str):
                fitting(self.colormap, self.sign_of(self.method))
        number = isinstance(self.scale, (int, float)) and not isinstance(self.scale, bool)
        if self.scale not in (None, "shared") and not (number and 0 < self.scale < np.inf):
            raise InputError(f"scale: expected 'shared' or a positive number; found {self.scale!r}")
