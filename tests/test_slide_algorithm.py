"""Algorithm 1: in the package, in the lesson, and beside the mini-batch step."""

import math

import numpy as np
import pytest

from minigrad_ae.errors import DataError, GradientError
from minigrad_ae.models import VariationalAutoencoder, slide_algorithm
from minigrad_ae.models.slide_algorithm import algorithm_1, ascend, generative, slide_bound
from minigrad_ae.optim import SGD
from minigrad_ae.teaching.lesson import lessons_folder

KINDS = [
    {"likelihood": "bernoulli"},
    {"likelihood": "gaussian"},
    {"likelihood": "gaussian", "learn_sigma": True},
]


def build(dtype=np.float64, **settings):
    rng = np.random.default_rng(0)
    return VariationalAutoencoder(5, 3, hidden=(7,), rng=rng, dtype=dtype, **settings), rng.random(
        (9, 5)
    ).astype(dtype)


@pytest.mark.parametrize("settings", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_is_the_mini_batch_step_in_batches_of_one_bit_for_bit(settings, dtype):
    (one, X), (other, _) = build(dtype, **settings), build(dtype, **settings)
    algorithm_1(one, X, 0.05, np.random.default_rng(1))
    optimiser, rng = SGD(other.parameters(), lr=0.05), np.random.default_rng(1)
    for x in X:
        optimiser.zero_grad()
        other.loss(x[None, :], rng).backward()
        optimiser.step()
    for name, value in one.state_dict().items():
        assert value.tobytes() == other.state_dict()[name].tobytes(), name
        assert (
            name == "conditional.log_var"
            or (value != build(dtype, **settings)[0].state_dict()[name]).any()
        )


def test_until_converged_halves_eta_where_a_block_is_no_better_and_returns_w_and_phi(monkeypatch):
    model, X = build()
    steps, means = [], iter([-9.5, -9.7, -9.0, -9.2, -5.0, -5.2, -5.1, -5.3, -4.0, -4.2, -6, -6])

    def one_pass(model, X, eta, rng):
        steps.append(eta)
        return next(means)

    monkeypatch.setattr(slide_algorithm, "algorithm_1", one_pass)
    rng = np.random.default_rng(0)
    w, phi = slide_algorithm.until_converged(model, X, 0.4, rng, halvings=2, passes=2)
    # where it starts, better, better, worse, better, worse
    assert steps == [0.0] * 2 + [0.4] * 6 + [0.2] * 4
    assert [id(p) for p in w] == [id(p) for p in generative(model)]
    assert [id(p) for p in phi] == [id(p) for p in model.encoder.parameters()]


def test_a_rise_within_the_standard_error_is_no_rise(monkeypatch):
    model, X = build()
    # of a block: 2 / sqrt(2) / sqrt(2) = 1, of a difference sqrt(2): 1.3 is within, 1.5 is not
    means, count = iter([-9.0, -9.0, 0.0, 2.0, 1.5, 3.5, 2.8, 4.8, 9.0, 9.0]), []

    def one_pass(model, X, eta, rng):
        count.append(eta)
        return next(means)

    monkeypatch.setattr(slide_algorithm, "algorithm_1", one_pass)
    rng = np.random.default_rng(0)
    slide_algorithm.until_converged(model, X, 1.0, rng, halvings=1, passes=2)
    assert count == [0.0] * 2 + [1.0] * 6


@pytest.mark.parametrize("lost", [math.nan, -math.inf, math.inf, -50.0])
def test_a_block_that_loses_the_weights_is_taken_back_and_not_counted(monkeypatch, lost):
    """-50 is more than 5 standard errors below the weights as they are passed, -9 +- 1."""
    model, X = build()
    means = iter([-10.0, -8.0, -5.0, -5.0, lost, lost, -4.0, -4.0, -4.1, -4.1, -4.0, -4.0])
    steps, places, bias = [], [], model.decoder[-1].bias

    def one_pass(model, X, eta, rng):
        steps.append(eta)
        places.append(bias.data[0])
        ascend([bias], [np.ones(bias.shape)], 1.0)
        return next(means)

    monkeypatch.setattr(slide_algorithm, "algorithm_1", one_pass)
    rng = np.random.default_rng(0)
    slide_algorithm.until_converged(model, X, 0.4, rng, halvings=1, passes=2)
    assert steps == [0.0] * 2 + [0.4] * 4 + [0.2] * 4
    assert places == [0, 1, 2, 3, 4, 5, 4, 5, 6, 7]


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("eta", [1.0, 1e3, 1e12])
def test_an_eta_that_is_too_large_leads_to_the_same_bound(likelihood, eta):
    def bound_after(eta):
        model, X = build(likelihood=likelihood)
        rng = np.random.default_rng(0)
        slide_algorithm.until_converged(model, X, eta, rng, halvings=2, passes=4)
        return model.bound(X, np.random.default_rng(1), 200).numpy().mean()

    small = bound_after(0.02)
    assert bound_after(eta) > small - 0.05 * abs(small)


def test_until_converged_refuses_weights_that_have_no_bound():
    model, X = build()
    model.decoder[-1].bias.data[0] = np.nan
    with pytest.raises(DataError, match="L is not finite at the weights as they are passed"):
        slide_algorithm.until_converged(model, X, 0.1, np.random.default_rng(0))


def test_one_pass_gives_the_mean_bound_of_the_pass():
    model, X = build()
    found = slide_algorithm.algorithm_1(model, X, 0.0, np.random.default_rng(3))
    rng = np.random.default_rng(3)
    bounds = [slide_bound(model, x[None, :], rng.standard_normal((1, 3))).item() for x in X]
    assert found == np.mean(bounds)


@pytest.mark.parametrize("wrong", [{"eta": 0.0}, {"halvings": 0}, {"passes": 1}])
def test_until_converged_refuses(wrong):
    model, X = build()
    with pytest.raises(DataError):
        slide_algorithm.until_converged(
            model, X, **{"eta": 0.1, "rng": np.random.default_rng(0), **wrong}
        )


@pytest.mark.parametrize("settings", KINDS)
def test_gradients_of_single_data_add_up_to_that_of_the_batch(settings):
    model, X = build(**settings)
    parameters = [*generative(model), *model.encoder.parameters()]
    rng = np.random.default_rng(2)
    for x in X:
        # .grad accumulates
        (-slide_bound(model, x[None, :], rng.standard_normal((1, 3)))).backward()
    parts = [p.grad for p in parameters]
    model.zero_grad()
    model.loss(X, np.random.default_rng(2)).backward()
    for p, part in zip(parameters, parts, strict=True):
        np.testing.assert_allclose(part, p.grad, rtol=0, atol=1e-13 * max(1, np.abs(part).max()))


def test_w_are_the_parameters_that_are_trained():
    assert len(generative(build(**KINDS[0])[0])) == len(generative(build(**KINDS[1])[0])) == 4
    assert generative(build(**KINDS[2])[0])[-1].name == "conditional.log_var"


def test_the_engine_refuses_a_gradient_for_phi_from_before_w_moved():
    from minigrad_ae import grad

    model, X = build()
    w, phi = generative(model), model.encoder.parameters()
    L = slide_bound(model, X[:1], np.zeros((1, 3)))
    ascend(w, grad(L, w), 0.1)
    with pytest.raises(
        GradientError, match=r"'decoder.*weight' was changed after linear had used it"
    ):
        grad(L, phi)


def test_the_lesson_shows_what_the_package_runs():
    """The loop stands in the lesson in the slide's symbols and order, both gradients before either
    update; the lesson's recap holds its result against the library's step.
    """
    text = (lessons_folder() / "09_variational_autoencoder.py").read_text(encoding="utf-8")
    loop = text[text.index("for x in data") : text.index("noise, optimizer = ")]
    lines = [line.split("  #")[0].strip() for line in loop.splitlines()[1:]]
    assert [line for line in lines if line and not line.startswith("#")] == [
        "eps = noise.standard_normal((1, M))",
        "mu, log_var = encode(x)",
        "z = mu + mg.exp(log_var / 2) * eps",
        "L = 0.5 * (1 + log_var - mu**2 - mg.exp(log_var)).sum()",
        "L = L + log_p(x, decoder(z)).sum()",
        "gradients = mg.grad(L, [*w, *phi])",
        "for p, g in zip([*w, *phi], gradients, strict=True):",
        "p.data = p.data + eta * g",
    ]
    assert 'lesson.result("Algorithm 1 and the library: parameters", difference, exact=0' in text
