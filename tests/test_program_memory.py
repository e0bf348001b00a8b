"""The memory of a compiled step: blocks that arrays share, one after another."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad_ae as mg
from minigrad_ae.autodiff.engine import topological
from minigrad_ae.program.memory import LINE, Impossible, Memory


def scenario(memory, seed, steps=60):
    """A sequence of arrays that are made, written, held and dropped; after each step nobody has
    written to those that are needed.
    """
    rng = np.random.default_rng(seed)
    needed = []
    for k in range(steps):
        if not needed or rng.random() < 0.6:
            array = memory.empty((int(rng.integers(1, 9)), int(rng.integers(0, 40))), np.float64)
            array[...] = k
            users = int(rng.integers(1, 3))
            for _ in range(users - 1):
                memory.hold(array)
            needed.append([array, k, users])
        else:
            chosen = needed[rng.integers(len(needed))]
            memory.drop(chosen[0].T)  # any view of it
            chosen[2] -= 1
            needed = [each for each in needed if each[2]]
        assert all(np.all(array == number) for array, number, _ in needed)
        assert all(array.ctypes.data % LINE == 0 for array, _, _ in needed if array.size)
    return memory


@pytest.mark.parametrize("seed", range(50))
def test_no_array_is_written_to_while_it_is_needed(seed):
    trial = scenario(Memory(), seed)
    again = scenario(Memory(trial.lives.share()), seed)
    assert again.nbytes <= trial.nbytes


@pytest.mark.parametrize("seed", range(20))
def test_blocks_are_never_less_than_what_is_needed_at_once(seed):
    lives = scenario(Memory(), seed).lives
    spans = [(a, lives.moment if b is None else b) for a, b in lives.spans]
    at_once = [
        sum(size for (a, b), size in zip(spans, lives.sizes, strict=True) if a <= t < b)
        for t in range(lives.moment)
    ]
    numbers, sizes = lives.share()
    assert max(at_once) <= sum(sizes) <= sum(lives.sizes)
    assert all(size <= sizes[n] for size, n in zip(lives.sizes, numbers, strict=True))


def test_another_sequence_is_no_program():
    """Whoever asks for other arrays the second time would write where somebody still reads."""
    trial = Memory()
    first = trial.empty((4,), np.float64)
    trial.drop(first)
    trial.empty((4,), np.float64)
    memory = Memory(trial.lives.share())
    memory.empty((4,), np.float64)
    with pytest.raises(Impossible, match="planned twice"):  # the first one is still needed
        memory.empty((4,), np.float64)
    with pytest.raises(Impossible, match="planned twice"):
        Memory(trial.lives.share()).empty((400,), np.float64)
    short = Memory(([], []))
    with pytest.raises(Impossible, match="planned twice"):
        short.empty((1,), np.float64)


def test_a_variational_step_takes_no_more_than_its_graph():
    """784-400-20: at most 1.2 times the results and saved arrays of the graph and the gradients,
    though copies of the data and the kernels' own panels are among them.
    """
    rng = np.random.default_rng(0)
    model = mg.models.VariationalAutoencoder(784, 20, hidden=(400,), rng=rng, dtype=np.float32)
    X, noise = rng.random((128, 784), np.float32), rng.standard_normal((128, 20), np.float32)

    def loss(x, noise):
        distortion, rate = model.terms(x, noise)
        return (distortion + rate) / len(x)

    step = mg.compile(loss)
    step(X, noise)
    values = [v for v in topological(loss(X, noise)) if v.op is not None]
    arrays = [a for v in values for a in (v._data, *(v.saved or ()))]
    owners = {id(o): o for o in (a if a.base is None else a.base for a in arrays)}
    live = sum(a.nbytes for a in [*owners.values(), *(p.data for p in model.parameters())])
    assert step.program.nbytes <= 1.2 * live
