"""The training loop: what a step is, that a seed is a seed, that it can be gone on with, and what
stops it.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from helpers import linear, message_of

import minigrad_ae as mg
from minigrad_ae.errors import DataError, DtypeError, GradientError
from minigrad_ae.models import LinearAutoencoder
from minigrad_ae.optim import LBFGS, SGD, Adam
from minigrad_ae.train import History, fit

X = np.random.default_rng(3).standard_normal((50, 5)) * [3, 2, 1, 0.5, 0.2] + 1


def train(model, epochs=3, lr=1e-2, data=X, **options):
    options = {
        "optimizer": Adam(model.parameters(), lr=lr),
        "rng": np.random.default_rng(1),
        "progress": False,
    } | options
    return fit(model, data, epochs=epochs, **options)


class Noisy(LinearAutoencoder):
    """Draws its input anew at every visit: what the loss is handed as `rng` matters."""

    def loss(self, x, rng=None):
        return super().loss(x + rng.standard_normal(x.shape))


def test_a_step_goes_down_the_mean_loss_of_its_batch():
    """By hand: W <- W - lr (d/dW loss(batch)) / len(batch), in the order that the generator
    draws.
    """
    model, twin = linear(), linear()
    train(model, epochs=2, batch_size=16, optimizer=SGD(model.parameters(), lr=0.01))
    rng = np.random.default_rng(1)
    for _ in range(2):
        order = rng.permutation(50)
        for start in range(0, 50, 16):
            batch = X[order[start : start + 16]]
            gradients = mg.grad(twin.loss(batch), twin.parameters())
            for p, g in zip(twin.parameters(), gradients, strict=True):
                p.data = p.data - 0.01 * g / len(batch)
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        np.testing.assert_allclose(p.data, q.data, rtol=1e-12)


def test_the_history_is_the_mean_over_data_of_the_summed_loss():
    model = linear()
    start = float(model.loss(X).item())
    history = train(model, epochs=1, batch_size=16, optimizer=SGD(model.parameters(), lr=0.0))
    assert history.loss == [pytest.approx(start / 50, rel=1e-14)]
    assert history.steps == 4 and history.epochs == 1


def test_float32_stays_float32():
    model = linear(dtype=np.float32)
    train(model)
    assert {p.dtype for p in model.parameters()} == {np.dtype(np.float32)}


def test_noise_and_shuffling_have_their_own_generators():
    seen = []
    for seed in (1, 1, 2):
        model = Noisy(5, 2, rng=np.random.default_rng(0))
        seen.append(train(model, noise=np.random.default_rng(seed)).loss)
    assert seen[0] == seen[1] != seen[2]


def test_a_schedule_is_asked_once_a_step_and_followed():
    model, asked = linear(), []
    optimizer = Adam(model.parameters(), lr=1.0)

    def schedule(k):
        asked.append(k)
        return 0.5 / (k + 1)

    train(model, epochs=2, batch_size=25, optimizer=optimizer, schedule=schedule)
    assert asked == [0, 1, 2, 3] and optimizer.lr == 0.125


def test_callbacks_see_every_epoch_and_may_end_the_training():
    seen, both = [], []

    def stop(state):
        seen.append((state.epoch, state.step, state.loss))
        return state.epoch == 2

    model = linear()
    history = train(
        model,
        epochs=5,
        batch_size=25,
        callbacks=[stop, lambda state: both.append(state.model is model)],
    )
    assert [(e, s) for e, s, _ in seen] == [(1, 2), (2, 4)]
    assert [loss for _, _, loss in seen] == history.loss and both == [True, True]


def test_the_mode_of_the_model_is_restored():
    model, modes = linear().eval(), []
    train(model, epochs=1, callbacks=[lambda state: modes.append(state.model.training)])
    assert modes == [True] and not model.training


def test_going_on_is_the_same_as_not_stopping():
    whole, part = linear(), linear()
    expected = train(whole, epochs=4)
    optimizer, rng = Adam(part.parameters(), lr=1e-2), np.random.default_rng(1)
    history = train(part, epochs=2, optimizer=optimizer, rng=rng)
    history = train(
        part, epochs=4, optimizer=optimizer, rng=rng, history=History(**history.as_dict())
    )
    assert history.loss == expected.loss and history.steps == expected.steps
    assert all(
        np.array_equal(p.data, q.data)
        for p, q in zip(whole.parameters(), part.parameters(), strict=True)
    )


PROGRAM = """
import hashlib, numpy as np, minigrad_ae as mg
from minigrad_ae.models import LinearAutoencoder
X, _ = mg.data.digits("test")
model = LinearAutoencoder(64, 4, rng=np.random.default_rng(0))
adam, rng = mg.optim.Adam(model.parameters()), np.random.default_rng(1)
h = mg.train.fit(model, X, optimizer=adam, epochs=2, rng=rng, progress=False)
weights = b"".join(p.data.tobytes() for p in model.parameters())
print([x.hex() for x in h.loss], hashlib.sha256(weights).hexdigest())
"""


def test_the_same_seed_gives_the_same_numbers_in_two_processes():
    seen = [
        subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert seen[0].stdout == seen[1].stdout and len(seen[0].stdout) > 80


# --- progress ---
@pytest.mark.parametrize(("epochs", "lines"), [(3, 3), (10, 10), (37, 10)])
def test_off_a_terminal_there_are_at_most_ten_lines(capsys, epochs, lines):
    train(linear(), epochs=epochs, progress=True)
    captured = capsys.readouterr()
    assert captured.out == "" and len(captured.err.splitlines()) == lines
    assert captured.err.splitlines()[-1].startswith(f"epoch {epochs} of {epochs}: loss ")


def test_on_a_terminal_there_is_a_bar(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    train(linear(), epochs=2, progress=True)
    assert "epoch 1/2" in capsys.readouterr().err


def test_silence(capsys):
    train(linear(), progress=False)
    assert capsys.readouterr() == ("", "")


# --- what stops it ---
class Breaks(LinearAutoencoder):
    """Its loss is NaN from the seventh step on."""

    calls = 0

    def loss(self, x, rng=None):
        self.calls += 1
        return super().loss(x) * (np.nan if self.calls >= 7 else 1.0)


def test_a_loss_that_is_no_number_names_step_and_epoch():
    model = Breaks(5, 2, rng=np.random.default_rng(0))
    before = []
    text = message_of(
        DataError, train, model, batch_size=16, callbacks=[lambda s: before.append(s.epoch)]
    )
    assert text == (
        "the loss is nan\n  at step 7, in epoch 2 of 3; learning rate 0.01\n"
        "  fix: lower the learning rate; run this batch under mg.detect_anomaly() to see which "
        "operation it comes from"
    )
    assert before == [1] and all(np.isfinite(p.data).all() for p in model.parameters())


class Overflows(LinearAutoencoder):
    """A finite loss whose gradient is infinite: sqrt at 0."""

    def loss(self, x, rng=None):
        return super().loss(x) + mg.sum(mg.sqrt(self.encoder_bias * 0.0))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_gradient_that_is_no_number_names_step_and_epoch():
    text = message_of(GradientError, train, Overflows(5, 2, rng=np.random.default_rng(0)))
    assert (
        "gradients are NaN or infinite" in text
        and "at step 1, in epoch 1 of 3" in text
        and len(text.splitlines()) == 3
    )


@pytest.mark.parametrize(
    ("options", "kind", "what"),
    [
        ({"epochs": 0}, DataError, "at least one epoch is needed"),
        (
            {"data": np.full((4, 5), 0.25)},
            DataError,
            "there is nothing to learn: all rows of X are the same",
        ),
        ({"data": np.where(X > 2, np.nan, X)}, DataError, "not finite"),
        ({"data": X[:0]}, DataError, "X is empty"),
        ({"batch_size": 0}, DataError, "batch size of 0"),
        ({"batch_size": 2.5}, DtypeError, "batch_size must be a whole number"),
        ({"rng": 7}, DtypeError, "a random generator is needed"),
        ({"data": X[:, :4]}, ValueError, "the data do not fit the autoencoder"),
    ],
)
def test_wrong_use(options, kind, what):
    text = message_of(kind, train, linear(), **options)
    assert what in text and len(text.splitlines()) == 3


def test_lbfgs_is_sent_to_its_own_step():
    model = linear()
    assert "call optimizer.step(closure)" in message_of(
        DataError, train, model, optimizer=LBFGS(model.parameters())
    )


def test_one_datum_may_be_learned_by_heart():
    assert train(linear(), data=X[:1], epochs=2).epochs == 2


def test_more_rows_in_a_batch_than_there_are_mean_all_of_them():
    assert train(linear(), batch_size=1000, epochs=2).steps == 2


class Interrupted(LinearAutoencoder):
    """Ctrl-C comes in the middle of the second step."""

    calls = 0

    def loss(self, x, rng=None):
        self.calls += 1
        if self.calls == 2:
            signal.raise_signal(signal.SIGINT)  # in this thread, and at once
        return super().loss(x)


@pytest.fixture
def usual_ctrl_c():
    """Python's own answer to Ctrl-C, also where the tests were started in the background: then the
    shell has told the process to ignore it.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_takes_effect_after_the_step(usual_ctrl_c):
    model, history = Interrupted(5, 2, rng=np.random.default_rng(0)), History()
    with pytest.raises(KeyboardInterrupt):
        train(model, batch_size=16, history=history)
    assert model.calls == 2 and history.steps == 2 and history.loss == []
    assert signal.getsignal(signal.SIGINT) is usual_ctrl_c


def test_training_in_another_thread_leaves_signals_alone():
    done = []
    worker = threading.Thread(target=lambda: done.append(train(linear(), epochs=1).epochs))
    worker.start()
    worker.join()
    assert done == [1]


def test_a_loss_that_draws_without_noise_is_told_of_noise():
    vae = mg.models.VariationalAutoencoder(4, 2, rng=np.random.default_rng(0))
    X = np.random.default_rng(1).random((6, 4))
    with pytest.raises(DtypeError) as caught:
        mg.train.fit(
            vae,
            X,
            optimizer=mg.optim.Adam(vae.parameters()),
            epochs=1,
            rng=np.random.default_rng(2),
            progress=False,
        )
    assert "got noise=None" in str(caught.value) and "fix: pass noise=" in str(caught.value)


# --- compiled -------------------------------------------------------------------------------------


def trained_with(compile, epochs=3, warm_up=False):
    """(losses, weights) of a small VAE."""
    rng = np.random.default_rng(0)
    model = mg.models.VariationalAutoencoder(8, 2, hidden=(6,), rng=rng)
    X = rng.random((50, 8))
    callbacks = [mg.models.KLWarmUp(model, epochs=2)] if warm_up else []
    history = mg.train.fit(
        model,
        X,
        optimizer=mg.optim.Adam(model.parameters(), lr=1e-2),
        epochs=epochs,
        rng=np.random.default_rng(1),
        noise=np.random.default_rng(2),
        batch_size=16,  # the last batch is smaller
        callbacks=callbacks,
        progress=False,
        compile=compile,
    )
    return history.loss, [p.data.copy() for p in model.parameters()]


@pytest.mark.parametrize("warm_up", [False, True])
def test_compiled_training_gives_the_same_bits(warm_up):
    losses, weights = trained_with(False, warm_up=warm_up)
    compiled_losses, compiled_weights = trained_with(True, warm_up=warm_up)
    assert losses == compiled_losses
    for p, q in zip(weights, compiled_weights, strict=True):
        np.testing.assert_array_equal(p, q)


def test_training_compiles_by_itself_where_that_pays(monkeypatch, caplog):
    made = []
    whole = mg.train.steps.Steps.compiled
    steps = mg.train.steps.Steps
    monkeypatch.setattr(steps, "compiled", lambda self: made.append(1) or whole(self))
    trained_with("auto")
    assert not made  # twelve steps of a small model
    monkeypatch.setattr(mg.train.steps.Steps, "WORTH", 0.0)
    monkeypatch.setattr(mg.train.steps.Steps, "TIMED", 4)
    with caplog.at_level("INFO", logger="minigrad_ae"):
        losses, _ = trained_with("auto", epochs=12)
    assert made and losses == trained_with(False, epochs=12)[0]
    told = [record.getMessage() for record in caplog.records]
    told = [line for line in told if "last step changed" not in line]
    assert "compiling" in told[0] and ("compiled" in told[1] or "back" in told[1])


def test_training_goes_back_to_the_tape_where_a_program_is_slower(monkeypatch):
    monkeypatch.setattr(mg.train.steps.Steps, "WORTH", 0.0)
    monkeypatch.setattr(mg.train.steps.Steps, "TIMED", 2)
    clock = iter(range(10**6))
    slow = {"by": 0.0}

    def now():  # the program takes longer at each step
        slow["by"] += next(clock)
        return slow["by"]

    monkeypatch.setattr(mg.train.steps.time, "perf_counter", now)
    steps = []
    whole = mg.train.steps.Steps.step

    def step(self, batch, where):
        steps.append(self.program is not None)
        return whole(self, batch, where)

    monkeypatch.setattr(mg.train.steps.Steps, "step", step)
    assert trained_with("auto")[0] == trained_with(False)[0]
    assert steps[:12] == [False, False, True, True] + [False] * 8


def test_what_compile_can_be_is_said():
    with pytest.raises(DataError, match="compile") as raised:
        trained_with("always")
    assert len(str(raised.value).splitlines()) == 3


# --- how far steps go -----------------------------------------------------------------------------


def test_the_last_step_of_an_epoch_is_measured():
    model = mg.models.LinearAutoencoder(3, 2, rng=np.random.default_rng(0))
    before: list[dict[str, np.ndarray]] = []
    each_step = [lambda state: before.append({k: p.numpy().copy() for k, p in weights(model)})]
    history = train(model, epochs=4, data=X[:, :3], batch_size=4, each_step=each_step)
    a_step = len(before) // 4
    assert [u["epoch"] for u in history.updates] == [1, 2, 3, 4]
    for k, update in enumerate(history.updates, start=1):
        old, new = before[k * a_step - 2], before[k * a_step - 1]
        for name in ("encoder.weight", "decoder.weight"):
            length = np.linalg.norm(new[name] - old[name]) / np.linalg.norm(old[name])
            assert update[name] == pytest.approx(length, rel=1e-12)
        assert "decoder.bias" not in update


def weights(model):
    return dict(model.named_parameters()).items()


def test_weights_of_zero_have_no_ratio_and_of_many_epochs_some_are_measured():
    model = mg.models.LinearAutoencoder(3, 2, rng=np.random.default_rng(0))
    model.encoder.weight.data = np.zeros((3, 2))
    history = train(model, epochs=450, data=X[:, :3])
    measured = [u["epoch"] for u in history.updates]
    assert measured == list(range(3, 451, 3))
    fresh = mg.models.LinearAutoencoder(3, 2, rng=np.random.default_rng(0))
    fresh.encoder.weight.data = np.zeros((3, 2))
    (first,) = train(fresh, epochs=1, data=X[:, :3], batch_size=len(X)).updates
    assert first["encoder.weight"] is None
    assert first["decoder.weight"] == 0.0  # its gradient is that of z = 0


def test_updates_are_the_same_compiled_and_go_into_json():
    found = []
    for compile in (False, True):
        model = mg.models.LinearAutoencoder(3, 2, rng=np.random.default_rng(0))
        found.append(train(model, epochs=3, data=X[:, :3], batch_size=4, compile=compile))
    assert found[0].updates == found[1].updates
    assert History(**json.loads(json.dumps(found[0].as_dict()))) == found[0]


def test_updates_are_drawn():
    model = mg.models.LinearAutoencoder(3, 2, rng=np.random.default_rng(0))
    history = train(model, epochs=3, data=X[:, :3], batch_size=4)
    ax = mg.train.plot_updates(history)
    first, second, usual = ax.lines
    assert [line.get_label() for line in (first, second)] == ["encoder.weight", "decoder.weight"]
    np.testing.assert_array_equal(first.get_ydata(), [u["encoder.weight"] for u in history.updates])
    assert list(usual.get_ydata()) == [1e-3, 1e-3]
    assert mg.train.plot_updates(history, ax) is ax
    with pytest.raises(DataError, match="nothing was measured"):
        mg.train.plot_updates(History())


class Lossless(mg.nn.Module):
    pass


class Weightless(mg.nn.Module):
    def loss(self, x, rng):
        return mg.tensor(x).sum()


@pytest.mark.parametrize(
    ("options", "kind", "what"),
    [
        ({"model": 3}, DtypeError, r"the model has no loss\(\)"),
        ({"model": Lossless()}, DtypeError, r"the model has no loss\(\)"),
        ({"model": Weightless()}, DataError, "the model has no parameters"),
        ({"optimizer": "adam"}, DtypeError, r"the optimizer has no step\(\)"),
        ({"schedule": 0.1}, DtypeError, "schedule is not a function"),
        ({"callbacks": print}, DtypeError, "callbacks is not a list of functions"),
        ({"callbacks": [3]}, DtypeError, "one of callbacks is not a function"),
        ({"each_step": 3}, DtypeError, "each_step is not a list of functions"),
        ({"history": {}}, DtypeError, "history is not a History"),
        ({"history": History(updates="x")}, DtypeError, "updates of the history is not a list"),
    ],
)
def test_what_fit_cannot_use_is_said(options, kind, what):
    model = mg.models.LinearAutoencoder(3, 2, rng=np.random.default_rng(0))
    given = {"optimizer": mg.optim.SGD(model.parameters(), 0.1), "epochs": 1, "progress": False}
    given |= {"model": model, "X": X[:, :3], "rng": np.random.default_rng(1), **options}
    with pytest.raises(kind, match=what) as caught:
        fit(**given)
    assert len(str(caught.value).splitlines()) == 3
