"""What a checkpoint holds, as `load` gives it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..autodiff.graph import no_grad
from ..data import Scaling
from ..nn import Module


@dataclass
class Checkpoint:
    """What `load` found in a file, under the names below.

    Parameters
    ----------
    path : Path
        The file that was read.
    model : Module
        The model, with the values that were saved.
    meta : dict
        What the caller gave to `save`.
    optimizer : dict or None
        For ``optimizer.load_state_dict``; None if no optimiser was saved.
    generators : dict of str to numpy.random.Generator
        The generators under their names, in the state they were in.
    scaling : Scaling or None, optional
        What was done to the data before the model saw them; None if nothing was, or it was not
        saved.  `model` itself sees scaled rows; `encode`, `decode` and `reconstruct` do both steps.

    Examples
    --------
    >>> model = mg.models.LinearAutoencoder(4, 2, rng=np.random.default_rng(0))
    >>> rng = np.random.default_rng(1)
    >>> path = mg.checkpoint.save("model.npz", model, meta={"epoch": 3}, generators={"data": rng})
    >>> found = mg.checkpoint.load(path)
    >>> found.meta, found.optimizer
    ({'epoch': 3}, None)
    >>> bool(found.generators["data"].random() == rng.random())
    True
    """

    path: Path
    model: Module
    meta: dict[str, Any]
    optimizer: dict[str, Any] | None
    generators: dict[str, np.random.Generator]
    scaling: Scaling | None = None

    def encode(self, X: Any) -> np.ndarray:
        """The codes of rows of the table.

        Parameters
        ----------
        X : array_like, (n, D)
            Rows in the units of the table: as they were before any scaling.

        Returns
        -------
        ndarray, (n, M)
            What ``model.encode`` says; of a variational model the mean of q(z | x).

        Raises
        ------
        ShapeError, DataError, DtypeError
            For rows that do not fit the scaling or the model.
        """
        model: Any = self.model
        with no_grad():
            codes = model.encode(X if self.scaling is None else self.scaling.apply(X))
        mean = codes[0] if isinstance(codes, tuple) else codes
        return np.array(mean.numpy())

    def decode(self, Z: Any) -> np.ndarray:
        """Rows of the table from codes.

        Parameters
        ----------
        Z : array_like, (n, M)
            Codes, as `encode` gives them.

        Returns
        -------
        ndarray, (n, D)
            In the units of the table.
        """
        model: Any = self.model
        with no_grad():
            Y = np.array(model.decode(Z).numpy())
        return Y if self.scaling is None else self.scaling.undo(Y)

    def reconstruct(self, X: Any) -> np.ndarray:
        """What the model makes of rows of the table.

        Parameters
        ----------
        X : array_like, (n, D)
            Rows in the units of the table.

        Returns
        -------
        ndarray, (n, D)
            In the units of the table.

        Raises
        ------
        ShapeError, DataError, DtypeError
            For rows that do not fit the scaling or the model.

        Examples
        --------
        >>> X = np.array([[10.0, 400.0], [30.0, 200.0], [50.0, 0.0]])
        >>> scaling = mg.data.Scaling.learn(X)
        >>> model = mg.models.LinearAutoencoder(2, 1, rng=np.random.default_rng(0))
        >>> _ = model.fit(scaling.apply(X))
        >>> path = mg.checkpoint.save("model.npz", model, scaling=scaling)
        >>> bool(np.allclose(mg.checkpoint.load(path).reconstruct(X), X, atol=1e-3))
        True
        """
        with no_grad():
            Y = self.model(X if self.scaling is None else self.scaling.apply(X))
        return np.array(Y.numpy()) if self.scaling is None else self.scaling.undo(Y.numpy())
