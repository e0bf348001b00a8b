"""The state of a random generator as JSON holds it, and a generator in such a state.

A state may come from a file that anyone wrote, and NumPy believes what it is given: with a place
beyond its buffer, a generator reads memory that is not its own.  So everything is compared with
the state of a generator of the same kind first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .errors import DataError

KINDS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
# the largest value of a number in a state that is smaller than its 128 bits
LARGEST = {"pos": 624, "buffer_pos": 4, "has_uint32": 1, "uinteger": 2**32 - 1}


def state_of(rng: np.random.Generator) -> dict[str, Any]:
    """The state of `rng` as JSON holds it; `generator_in` makes a generator of it."""
    return dict(_plain(rng.bit_generator.state))


def generator_in(state: Any) -> np.random.Generator:
    """A new generator in a state that `state_of` gave; DataError for one that no generator has."""
    try:
        name = state["bit_generator"]
        if name not in KINDS:
            raise ValueError(f"no kind of generator is called {name!r:.40}")
        bits = getattr(np.random, name)(0)
        bits.state = _like(bits.state, state, name)
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise DataError(
            "the state of a random generator cannot be understood",
            " ".join(str(error).split()),
            "take a generator whose state was kept whole, or begin anew",
        ) from None
    return np.random.Generator(bits)


def _plain(value: Any) -> Any:
    """Dicts of arrays, numbers and text, with each array as its numbers and its dtype."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "dtype": value.dtype.str}
    return value


def _like(own: Any, given: Any, name: str) -> Any:
    """What is `given` in the place of `own`, if it is of the same form and size."""
    if isinstance(own, dict):
        if not isinstance(given, Mapping) or given.keys() != own.keys():
            raise ValueError(f"{name} must have {', '.join(own)}")
        return {key: _like(part, given[key], key) for key, part in own.items()}
    if isinstance(own, np.ndarray):
        array = np.array(given["array"], own.dtype)
        if array.shape != own.shape:
            raise ValueError(f"{name} has shape {array.shape}, not {own.shape}")
        return array
    if isinstance(own, str):
        return own
    largest = LARGEST.get(name, 2**128 - 1)
    if type(given) is not int or not 0 <= given <= largest:
        raise ValueError(f"{name} is {given!r:.40}, not a whole number from 0 to {largest}")
    return given
