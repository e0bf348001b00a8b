"""`mg.compile`: the numbers of the tape, bit for bit, or the tape itself."""

from __future__ import annotations

import threading
import warnings
from functools import partial
from itertools import permutations

import numpy as np
import pytest
from random_graphs import grown, leaves
from zoo import FEATURES, MODELS, model_and_loss

import minigrad_ae as mg
from minigrad_ae.autodiff.engine import topological
from minigrad_ae.errors import DtypeError, GradientError

COUNT = 40  # of the random graphs; all of them have the same ops


@pytest.fixture(autouse=True)
def every_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        yield


def line(dtype=np.float64, rows=20):
    """A small network: (parameters, loss(x))."""
    rng = np.random.default_rng(3)
    W = mg.tensor(rng.standard_normal((3, 4)), requires_grad=True, dtype=dtype, name="W")
    b = mg.tensor(np.zeros(4), requires_grad=True, dtype=dtype, name="b")
    V = mg.tensor(rng.standard_normal((4, 3)), requires_grad=True, dtype=dtype, name="V")
    return [W, b, V], lambda x: ((mg.tanh(x @ W + b) @ V - x) ** 2).mean()


def batch(seed, rows=20, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal((rows, 3)).astype(dtype)


def gradients(params):
    return [None if p.grad is None else p.grad.copy() for p in params]


def both(params, function, arguments):
    """(loss, gradients) on the tape, for arguments made by `arguments()`."""
    for p in params:
        p.grad = None
    loss = function(*arguments())
    loss.backward()
    found = gradients(params)
    for p in params:
        p.grad = None
    return loss.item(), found


def assert_same(params, function, step, arguments):
    """A call of the step gives the bits of the tape."""
    loss, wanted = both(params, function, arguments)
    assert step(*arguments()).item() == loss
    for found, g in zip(gradients(params), wanted, strict=True):
        np.testing.assert_array_equal(found, g)


def trained(optimizer, function, arguments, steps=6):
    """The losses of a few steps by hand."""
    losses = []
    for k in range(steps):
        optimizer.zero_grad()
        loss = function(*arguments(k))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


# --- the same numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_step_gives_the_bits_of_the_tape(dtype):
    params, loss = line(dtype)
    step = mg.compile(loss)
    for seed in range(5):
        assert_same(params, loss, step, lambda s=seed: [batch(s, dtype=dtype)])
    assert step.program is not None and not step.reason


def data_of(name, k):
    rng = np.random.default_rng([4, k])
    if name == "MaskedAutoencoder":
        return rng.normal(size=(2, 16))
    return rng.random((7, FEATURES))


OPTIMIZERS = {
    "sgd": partial(mg.optim.SGD, lr=0.01),
    "momentum": partial(mg.optim.SGD, lr=0.01, momentum=0.9, nesterov=True),
    "adam": partial(mg.optim.Adam, lr=0.01),
    "adamw": partial(mg.optim.AdamW, lr=0.01, weight_decay=0.1),
}


def loss_of(model):
    """loss(x, rng), of models that draw and of those that do not."""

    def loss(x, rng):
        return model.loss(x, rng=rng) / len(x)

    return loss


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_model_and_optimiser_trains_to_the_same_bits(name, optimizer):
    if name in ("VisionTransformer", "VisionClassifier", "MaskedDecoder"):
        pytest.skip("it has no loss of data alone")
    runs = []
    for compiled in (False, True):
        model, _ = model_and_loss(name)
        params = [p for p in model.parameters() if p.requires_grad]
        by, rng = OPTIMIZERS[optimizer](params), np.random.default_rng(11)
        loss = loss_of(model)
        if compiled:
            step = mg.compile(loss, optimizer=by)
            losses = [step(data_of(name, k), rng).item() for k in range(6)]
            assert step.program is not None, step.reason
        else:
            losses = trained(by, loss, lambda k, rng=rng: (data_of(name, k), rng))
        runs.append((losses, [p.data.copy() for p in params]))
    (losses, weights), (compiled_losses, compiled_weights) = runs
    assert losses == compiled_losses
    for p, q in zip(weights, compiled_weights, strict=True):
        np.testing.assert_array_equal(p, q)


@pytest.mark.parametrize("number", range(COUNT))
def test_random_graphs_of_every_op_run_compiled(number):
    start = leaves(number)
    step = mg.compile(lambda: grown(number, start))
    rng = np.random.default_rng(number)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for _ in range(4):
            assert_same(start, lambda: grown(number, start), step, list)
            assert step.program is not None, step.reason
            for p in start:
                p.data *= p.dtype.type(rng.uniform(0.9, 1.1))


def test_the_random_graphs_have_every_op():
    names = {v.op.name for k in range(COUNT) for v in topological(grown(k, leaves(k))) if v.op}
    assert names == set(mg.ops.REGISTRY)


@pytest.mark.parametrize("threads", [1, 2])
def test_one_and_two_threads_give_the_same_bits(threads):
    before = mg.kernels.get_num_threads()
    rng = np.random.default_rng(0)
    model = mg.models.VariationalAutoencoder(300, 5, hidden=(400,), rng=rng)
    X = rng.random((200, 300))
    found = {}
    for n in (1, threads):
        mg.kernels.set_num_threads(n)
        try:
            step = mg.compile(lambda x, rng: model.loss(x, rng=rng))
            for p in model.parameters():
                p.grad = None
            for _ in range(3):
                value = step(X, np.random.default_rng(1)).item()
            found[n] = value, gradients(model.parameters())
        finally:
            mg.kernels.set_num_threads(before)
    assert found[1][0] == found[threads][0]
    for a, b in zip(found[1][1], found[threads][1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_definitions_compile_as_well():
    params, loss = line()
    with mg.kernels.use("numpy"):
        step = mg.compile(loss)
        for seed in range(3):
            assert_same(params, loss, step, lambda s=seed: [batch(s)])
    assert all(listed.kind != "kernel" for listed in step.program.lines)
    assert_same(params, loss, step, lambda: [batch(9)])  # kernels again: another program
    assert len(step.programs) == 2


# --- gradients and results ------------------------------------------------------------------------


def test_gradients_add_up_as_on_the_tape():
    params, loss = line()
    step = mg.compile(loss)
    for _ in range(3):
        step(batch(0))
    for p in params:
        p.grad = None
    step(batch(0))
    once = gradients(params)
    step(batch(0))
    for g, p in zip(once, params, strict=True):
        np.testing.assert_array_equal(p.grad, g + g)


def test_what_a_step_returned_is_not_written_to_again():
    params, loss = line()
    step = mg.compile(loss)
    kept = []
    for seed in range(5):
        for p in params:
            p.grad = None
        kept.append((step(batch(seed)), [p.grad for p in params]))
    for seed, (value, grads) in enumerate(kept):
        expected, wanted = both(params, loss, lambda s=seed: [batch(s)])
        assert value.item() == expected and not value.requires_grad
        for found, g in zip(grads, wanted, strict=True):
            np.testing.assert_array_equal(found, g)


def test_arguments_stay_as_they_are_and_may_lie_anywhere():
    params, loss = line()
    step = mg.compile(loss)
    X = batch(0, rows=40)
    before = X.copy()
    for arguments in ([X], [X[::2]], [X.T.copy().T], [mg.tensor(X)], [X]):
        for _ in range(3):
            assert_same(params, loss, step, lambda a=arguments: a)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("axes", [*permutations(range(3))])
def test_sums_of_gradients_run_in_the_order_of_memory(axes):
    """A sum of gradients lies as they do, and un-broadcasting adds it up in this order."""
    x = mg.tensor(np.random.default_rng(5).standard_normal((3, 5, 7)), requires_grad=True)
    x.data = x.data.transpose(axes).copy().transpose(np.argsort(axes))
    weights = np.random.default_rng(6).standard_normal((3, 5, 7)).transpose(axes).copy()
    weights = weights.transpose(np.argsort(axes))

    def loss():
        centred = x - x.mean(keepdims=True)
        return mg.var(centred * weights) + (centred * centred * weights).sum()

    step = mg.compile(loss)
    for _ in range(4):
        assert_same([x], loss, step, tuple)
        x.data = x.data * 1.01
    assert step.program is not None


def test_another_shape_is_another_program():
    params, loss = line()
    step = mg.compile(loss)
    for rows in (20, 20, 20, 5, 5, 5, 20):
        assert_same(params, loss, step, lambda n=rows: [batch(1, n)])
    assert len(step.programs) == 2


def test_a_generator_is_drawn_from_at_every_call():
    model = mg.models.VariationalAutoencoder(6, 2, hidden=(5,), rng=np.random.default_rng(0))
    X = np.random.default_rng(1).random((8, 6))
    step = mg.compile(lambda x, rng: model.loss(x, rng=rng))
    ours, theirs = np.random.default_rng(2), np.random.default_rng(2)
    losses = [step(X, ours).item() for _ in range(6)]
    assert losses == [model.loss(X, rng=theirs).item() for _ in range(6)]
    assert len(set(losses)) == 6 and ours.random() == theirs.random()


def test_numpy_on_arguments_and_on_numbers_that_are_read_is_followed():
    (W, *_), _ = line()

    def loss(x, rng):
        keep = rng.random(x.shape) < 0.5
        scale = np.abs(W.data).max()  # no gradient flows through it
        order = np.argsort(x[:, 0])
        h = mg.clip(mg.tensor(x * keep) @ W, -0.5, 0.5)[order]
        return (h * h).sum() / scale + float(h.data.mean())

    step = mg.compile(loss)
    rng = np.random.default_rng(5)
    for seed in range(5):
        state = rng.bit_generator.state

        def arguments(seed=seed, state=state):
            rng.bit_generator.state = state
            return batch(seed), rng

        # float(...) of what changes is a condition that fails: the tape, observed again
        assert_same([W], loss, step, arguments)
        W.data *= 1.1


# --- conditions -----------------------------------------------------------------------------------


def test_a_branch_on_numbers_is_a_condition():
    params, _ = line()
    W = params[0]

    def loss(x):
        y = (x @ W).sum()
        return y * y if x.max() > 1 else -y

    step = mg.compile(loss)
    for scale in (1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 1.0):
        assert_same([W], loss, step, lambda s=scale: [s * np.ones((2, 3)) * 2])


def test_a_branch_on_a_computed_tensor_is_a_condition():
    W = mg.tensor([1.0, 2.0], requires_grad=True)

    def loss(x):
        y = (x * W).sum()
        return y * y if y.item() > 0 else -y

    step = mg.compile(loss)
    for sign in (1, 1, 1, -1, -1, -1, 1):
        assert_same([W], loss, step, lambda s=sign: [s * np.ones(2)])


def test_a_models_own_refusal_comes_as_on_the_tape():
    model = mg.models.VariationalAutoencoder(6, 2, hidden=(5,), rng=np.random.default_rng(0))
    step = mg.compile(lambda x, rng: model.loss(x, rng=rng))
    X, rng = np.random.default_rng(1).random((8, 6)), np.random.default_rng(2)
    for _ in range(3):
        step(X, rng)
    with pytest.raises(mg.errors.DataError, match="needs data in"):
        step(X + 1, rng)
    theirs = np.random.default_rng(2)
    for _ in range(3):
        model.loss(X, rng=theirs)
    assert step(X, rng).item() == model.loss(X, rng=theirs).item()


def test_an_index_out_of_range_is_an_error_as_on_the_tape():
    W = mg.tensor(np.arange(6.0), requires_grad=True)

    def loss(rows):
        return (W[rows] * W[rows]).sum()

    step = mg.compile(loss)
    for k in range(4):
        assert_same([W], loss, step, lambda k=k: [np.array([k, 1, 1])])
    with pytest.raises(mg.errors.RangeError, match="out of bounds"):
        step(np.array([1, 2, 6]))


def test_settings_of_a_module_and_variables_of_the_function_are_looked_at():
    model = mg.models.VariationalAutoencoder(6, 2, hidden=(5,), rng=np.random.default_rng(0))
    X, weight = np.random.default_rng(1).random((8, 6)), 1.0

    def loss(x, rng):
        return weight * model.loss(x, rng=rng)

    step = mg.compile(loss)
    for beta in (1.0, 1.0, 1.0, 3.0, 3.0, 1.0):
        model.beta = beta
        weight += 0.5
        for _ in range(2):
            expected = loss(X, np.random.default_rng(7)).item()
            assert step(X, np.random.default_rng(7)).item() == expected


def test_new_data_of_a_leaf_and_a_frozen_one_are_seen():
    params, loss = line()
    step = mg.compile(loss)
    for k in range(6):
        assert_same(params, loss, step, lambda: [batch(0)])
        params[0].data = params[0].data + 0.1
        params[1].requires_grad = k % 2 == 0


def test_an_array_that_the_function_closes_over_may_be_written_to():
    params, _ = line()
    target = np.zeros((20, 4))

    def loss(x):
        return ((x @ params[0] - target) ** 2).sum()

    step = mg.compile(loss)
    for _ in range(5):
        assert_same(params[:1], loss, step, lambda: [batch(0)])
        target += 1


# --- the tape, where it must be -------------------------------------------------------------------


def stays(function, arguments, match, params=(), calls=4):
    """The step warns once, and gives the numbers of the tape."""
    step = mg.compile(function)
    with pytest.warns(UserWarning, match=match) as told:
        for _ in range(calls):
            loss, wanted = both(params, function, arguments)
            assert step(*arguments()).item() == loss
            for found, g in zip(gradients(params), wanted, strict=True):
                np.testing.assert_array_equal(found, g)
    assert len(told) == 1 and told[0].filename == __file__
    assert step.program is None and step.reason
    return step


def test_a_change_in_place_stays_on_the_tape():
    params, loss = line()

    def with_write(x):
        y = np.zeros_like(x)
        y[:] = 0
        x = x * 1
        x[0] = 5
        return loss(x)

    stays(with_write, lambda: [batch(0)], "assigned.*test_compile.py", params)


def test_a_hook_stays_on_the_tape():
    params, loss = line()
    params[0].register_hook(lambda g: 2 * g)
    stays(loss, lambda: [batch(0)], "hook", params)


def test_a_backward_pass_inside_stays_on_the_tape():
    W = mg.tensor([1.0, 2.0], requires_grad=True)

    def loss(x):
        y = (x * W * W).sum()
        (slope,) = mg.grad(y, [W], create_graph=True)
        return (slope * slope).sum()

    stays(loss, lambda: [np.ones(2)], "backward pass", [W])


def test_draws_that_are_no_argument_stay_on_the_tape():
    W = mg.tensor([1.0, 2.0], requires_grad=True)
    rng = np.random.default_rng(0)

    def loss(x):
        return (x * W * rng.standard_normal(2)).sum()

    step = mg.compile(loss)
    with pytest.warns(UserWarning, match="no argument"):
        for _ in range(4):
            step(np.ones(2))
    W.grad = None
    state = rng.bit_generator.state
    value = step(np.ones(2)).item()
    rng.bit_generator.state = state
    assert value == loss(np.ones(2)).item()


def test_anomaly_mode_watches_the_ops():
    W = mg.tensor([1.0, 4.0], requires_grad=True)
    step = mg.compile(lambda x: mg.sqrt(W * x).sum())
    for _ in range(3):
        step(np.ones(2))
    with pytest.raises(mg.inspect.AnomalyError), mg.detect_anomaly():
        step(-np.ones(2))


def test_another_thread_and_a_call_inside_use_the_tape():
    _, loss = line()
    step = mg.compile(loss)
    for _ in range(3):
        step(batch(0))
    results = {}

    def work(seed):
        results[seed] = [step(batch(seed)).item() for _ in range(20)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for seed, found in results.items():
        assert set(found) == {loss(batch(seed)).item()}


# --- what one sees --------------------------------------------------------------------------------


def test_check_finds_what_cannot_be_seen():
    params, _ = line()

    class Settings:
        factor = 1.0

    settings = Settings()
    step = mg.compile(lambda x: (x @ params[0]).sum() * settings.factor, check=2)
    for _ in range(6):
        step(batch(0))
    Settings.factor = 2.0  # of an object that it closes over it sees what that holds itself
    with pytest.raises(GradientError, match="different numbers"):
        for _ in range(2):
            step(batch(0))


def test_the_program_is_listed_and_printed():
    _, loss = line()
    step = mg.compile(loss)
    step(batch(0, rows=200))
    text = str(step.program)
    forward, backward = text.split("# backward")
    for name in ("matmul", "@ W", "tanh", "loss = "):
        assert name in forward
    for name in ("grad_W = ", "grad_b = ", "grad_V = "):
        assert name in backward
    assert {listed.kind for listed in step.program.lines} >= {"given", "kernel", "numpy"}
    assert "1 programs" in repr(step)


def test_memory_of_a_program_is_used_again():
    rng = np.random.default_rng(0)
    W = mg.tensor(rng.standard_normal((100, 100)) / 10, requires_grad=True)

    def loss(x):
        for _ in range(10):
            x = mg.tanh(x @ W)
        return (x * x).sum()

    step = mg.compile(loss)
    step(rng.standard_normal((50, 100)))
    array = 50 * 100 * 8
    kept = 20  # results that the backward pass reads: ten products, ten of tanh
    own = W.data.nbytes
    assert step.program.nbytes < 1.2 * (kept + 2) * array + 4 * own


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (lambda: mg.compile(3), DtypeError, "not a function"),
        (
            lambda: mg.compile(
                lambda: None, optimizer=mg.optim.LBFGS([mg.tensor(1.0, requires_grad=True)])
            ),
            DtypeError,
            "L-BFGS",
        ),
        (lambda: mg.compile(lambda x: x, check=-1), mg.errors.DataError, "check"),
        (lambda: mg.compile(lambda x: x)([1, 2]), DtypeError, "argument 1"),
        (lambda: mg.compile(lambda x: 3.0)(np.ones(2)), DtypeError, "not a tensor"),
        (lambda: mg.compile(lambda x: mg.tensor(x))(np.ones(2)), GradientError, "not a scalar"),
        (lambda: mg.compile(lambda x: mg.tensor(x).sum())(np.ones(2)), GradientError, "requires"),
    ],
)
def test_what_cannot_be_compiled_is_said(arguments, error, match):
    with pytest.raises(error, match=match) as raised:
        arguments()
    assert len(str(raised.value).splitlines()) == 3


# --- what it returns, and how long it goes on -----------------------------------------------------


def test_more_than_the_loss_may_be_returned():
    model = mg.models.VariationalAutoencoder(6, 2, hidden=(5,), rng=np.random.default_rng(0))
    rng = np.random.default_rng(3)
    X, noise = rng.random((8, 6)), rng.standard_normal((8, 2))

    def loss(x, noise):
        distortion, rate = model.terms(x, noise)
        return (distortion + rate) / len(x), distortion, rate, model.encoder(x)

    step = mg.compile(loss)
    kept = [step(X * s, noise) for s in (1.0, 0.9, 0.8, 0.7)]
    for s, found in zip((1.0, 0.9, 0.8, 0.7), kept, strict=True):
        for a, b in zip(found, loss(X * s, noise), strict=True):
            np.testing.assert_array_equal(a.data, b.data)
    assert step.program is not None, step.reason


def test_a_setting_that_comes_back_finds_its_program():
    model = mg.models.VariationalAutoencoder(6, 2, hidden=(5,), rng=np.random.default_rng(0))
    step = mg.compile(lambda x, rng: model.loss(x, rng=rng))
    X = np.random.default_rng(1).random((8, 6))
    for beta in (1.0, 1.0, 2.0, 2.0, 1.0, 2.0, 1.0):
        model.beta = beta
        step(X, np.random.default_rng(0))
    assert len(step.programs) == 2
    for k in range(40):
        model.beta = float(k)
        for _ in range(3):
            step(X, np.random.default_rng(0))
    assert len(step.programs) <= 16


def test_a_number_that_is_another_one_each_time_goes_to_the_tape():
    (W, *_), _ = line()

    def loss(x):
        return (x @ W).sum() * float(x.mean())

    step = mg.compile(loss)
    with pytest.warns(UserWarning, match="each call needs another program"):
        for seed in range(20):
            assert_same([W], loss, step, lambda s=seed: [batch(s)])
    assert step.program is None


def test_what_a_function_changes_stays_on_the_tape():
    (W, *_), _ = line()
    count, seen = 0, []

    def loss(x):
        nonlocal count
        count += 1
        seen.append(count)
        return (x @ W).sum() * count

    step = mg.compile(loss)
    with pytest.warns(UserWarning, match="changes what it closes over"):
        for _ in range(5):
            step(batch(0))
    assert count == 5 and seen == [1, 2, 3, 4, 5]


def test_numbers_that_a_hidden_draw_would_hide_are_found():
    (W, *_), _ = line()
    hidden = {"rng": np.random.default_rng(0)}

    def loss(x):
        y = (x @ W).sum()
        return y * y if hidden["rng"].random() < 1e-9 else y

    stays(loss, lambda: [batch(0)], "no argument", [W])


def test_a_leaf_that_gets_another_array_at_each_call():
    params, loss = line()
    step = mg.compile(loss)
    for _ in range(8):
        assert_same(params, loss, step, lambda: [batch(0)])
        for p in params:
            p.data = p.data - 0.01
    assert step.program is not None and step.program.proved


def test_lbfgs_calls_a_compiled_loss():
    found = []
    for compiled in (False, True):
        params, loss = line()
        lbfgs = mg.optim.LBFGS(params)
        step = mg.compile(loss)

        def closure(compiled=compiled, step=step, lbfgs=lbfgs, loss=loss):
            lbfgs.zero_grad()
            if compiled:
                return step(batch(0))
            value = loss(batch(0))
            value.backward()
            return value

        lbfgs.step(closure)
        found.append([p.data.copy() for p in params])
        assert not compiled or step.program is not None
    for p, q in zip(*found, strict=True):
        np.testing.assert_array_equal(p, q)


def test_an_optimiser_uses_no_gradient_of_another_call():
    def run(compiled):
        params, _ = line()
        W, b, V = params
        by = mg.optim.SGD(params, lr=0.1)

        def loss(x, first):
            return ((x @ W + b) ** 2).mean() if first else (V * V).sum()

        step = mg.compile(loss, optimizer=by)
        for k in range(12):
            if compiled:
                step(batch(0), k % 2 == 0)
            else:
                by.zero_grad()
                loss(batch(0), k % 2 == 0).backward()
                by.step()
        return [p.data.copy() for p in params]

    for p, q in zip(run(False), run(True), strict=True):
        np.testing.assert_array_equal(p, q)


def test_a_leaf_as_an_argument_gets_its_gradient():
    (W, *_), _ = line()
    step = mg.compile(lambda x, w: ((x @ w) ** 2).sum())
    other = mg.tensor(W.data + 1, requires_grad=True)
    for leaf in (W, W, W, other, other, other, W):
        assert_same([leaf], lambda x, w: ((x @ w) ** 2).sum(), step, lambda w=leaf: [batch(0), w])


def test_two_threads_may_make_programs_at_once():
    wrong = []

    def work(seed):
        _, loss = line()
        step = mg.compile(loss)
        for _ in range(5):
            if step(batch(seed)).item() != loss(batch(seed)).item():
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_an_error_takes_no_draw_more_than_on_the_tape():
    W = mg.tensor(np.arange(6.0), requires_grad=True)

    def loss(rows, rng):
        noise = rng.standard_normal(3)  # before what goes wrong
        return (W[rows] * noise).sum()

    step = mg.compile(loss)
    ours, theirs = np.random.default_rng(0), np.random.default_rng(0)
    for call, rng in ((step, ours), (loss, theirs)):
        for _ in range(3):
            call(np.array([0, 1, 2]), rng)
    assert step.program.proved
    for call, rng in ((step, ours), (loss, theirs)):
        with pytest.raises(mg.errors.RangeError):
            call(np.array([0, 1, 6]), rng)
    assert step(np.array([0, 1, 2]), ours).item() == loss(np.array([0, 1, 2]), theirs).item()


def test_a_condition_on_a_draw_draws_once():
    W = mg.tensor([1.0, 2.0], requires_grad=True)

    def loss(rng):
        noise = rng.standard_normal(2)
        y = (W * noise).sum()
        return y * y if noise[0] > -1 else -y

    step = mg.compile(loss)
    ours, theirs = np.random.default_rng(0), np.random.default_rng(0)
    found = [step(ours).item() for _ in range(40)]
    assert found == [loss(theirs).item() for _ in range(40)]
    assert ours.bit_generator.state == theirs.bit_generator.state and not step.reason
