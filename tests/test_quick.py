"""What rules call ``np`` gives what NumPy gives: bits, shapes, views and errors."""

import numpy as np
import pytest

from minigrad_ae.autodiff.quick import quick

RNG = np.random.default_rng(0)
ARRAYS = [
    np.float32(1.5) * np.ones((), np.float32),
    np.array(2.5)[()],
    RNG.standard_normal((300, 7)).astype(np.float32),
    RNG.standard_normal((1, 1, 1)),
    RNG.standard_normal((4, 1)).T,
    RNG.standard_normal((5, 6))[::2, ::-1],
    RNG.standard_normal((3, 4)) + 1j,
    np.zeros((0, 3)),
    np.arange(6).reshape(2, 3),
    np.array([True, False]),
]
SHAPES = [
    (),
    (1,),
    (3,),
    (2, 3),
    (4, 1, 1),
    (300, 7),
    (2, 300, 7),
    (0, 3),
    (3, 0),
    (-1,),
    3,
    [2, 1],
]


def same(name, x, *args, **settings):
    """Both functions give the same array, or raise the same kind of error; whether it is one."""
    mine, numpys = getattr(quick, name), getattr(np, name)
    try:
        expected = numpys(x, *args, **settings)
    except (ValueError, TypeError, IndexError) as error:
        with pytest.raises(type(error)):
            mine(x, *args, **settings)
        return False
    found = mine(x, *args, **settings)
    assert type(found) is type(expected) and found.dtype == expected.dtype
    assert found.shape == expected.shape and found.tobytes() == expected.tobytes()
    if type(found) is np.ndarray:
        assert found.flags.writeable == expected.flags.writeable
        assert np.shares_memory(found, x) == np.shares_memory(expected, x)
    return True


@pytest.mark.parametrize("x", ARRAYS, ids=lambda x: f"{x.dtype}{x.shape}")
def test_sum_reshape_and_broadcast_to_are_numpys(x):
    done = 0
    for axis in (None, 0, 1, -1, (0, 1), (), 7):
        for keepdims in (False, True):
            done += same("sum", x, axis=axis, keepdims=keepdims)
    for shape in SHAPES:
        done += same("reshape", x, shape)
        done += same("broadcast_to", x, shape)
    assert done >= 8


def test_all_else_is_numpy_itself():
    assert quick.exp is np.exp and quick.linalg is np.linalg and quick.pi == np.pi
    with pytest.raises(AttributeError, match="no_such_function"):
        _ = quick.no_such_function
