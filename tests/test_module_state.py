"""Module: what it finds in its attributes, how its state travels, and what it looks like."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from helpers import rng

import minigrad_ae as mg
from minigrad_ae import nn
from minigrad_ae.errors import DataError, DtypeError, GradientError


class Tied(nn.Module):
    """Every way to hold a parameter: attribute, module, list, tuple in a dict, twice; and it never
    calls super().__init__.
    """

    def __init__(self, seed=0):
        self.size = 4
        self.encoder = nn.Sequential(
            nn.Linear(4, 3, activation="tanh", rng=rng(seed)), nn.Dropout(0.1, rng(seed))
        )
        self.scale = nn.Parameter(np.float32(2.0))
        self.heads = [nn.Linear(3, 1, bias=False, rng=rng(seed)), nn.Tanh()]
        self.extra = {"a": (nn.Parameter([1.0, 2.0], name="own"), "text", None)}
        self.again = self.encoder[0]
        self.weight = self.encoder[0].weight
        self.me = self

    def forward(self, x):
        return (
            self.heads[0](self.encoder(x)) * self.scale
            + self.extra["a"][0].sum()
            + self.again(x).mean()
        )


NAMES = ["encoder.0.weight", "encoder.0.bias", "scale", "heads.0.weight", "extra.a.0"]


def test_parameters_are_found_wherever_attributes_hold_them_and_once():
    model = Tied()
    assert [name for name, _ in model.named_parameters()] == list(model.state_dict()) == NAMES
    assert model.parameters()[0] is model.weight is model.again.weight
    assert [name for name, _ in model.named_modules()] == [
        "",
        "encoder",
        "encoder.0",
        "encoder.1",
        "heads.0",
        "heads.1",
    ]
    assert model.modules()[0] is model
    assert sum(p.size for p in model.parameters()) == 12 + 3 + 1 + 3 + 2


def test_a_parameter_is_a_tensor_that_is_trained_and_ops_make_plain_tensors_of_it():
    w = nn.Parameter([1, 2, 3])
    assert isinstance(w, mg.Tensor) and w.requires_grad and w.is_leaf and w.dtype == np.float64
    assert nn.Parameter(w, dtype=np.float32).dtype == np.float32
    assert type(w * 2) is type(w.detach()) is mg.Tensor
    data = np.ones(2)
    copied = nn.Parameter(data)
    data[:] = 7
    assert copied.data.tolist() == [1, 1]
    assert {p.name for p in Tied().parameters()} == {"weight", "bias", "scale", "own"}, (
        "named after their attribute"
    )
    with pytest.raises(DtypeError):
        nn.Parameter([1j])


def test_a_frozen_parameter_stays_in_the_state_and_receives_no_gradient():
    model = nn.Sequential(nn.Linear(2, 2, rng=rng()), nn.Linear(2, 2, rng=rng()))
    model[0].weight.requires_grad = False
    model(np.ones((3, 2))).sum().backward()
    assert (
        model[0].weight.grad is None
        and model[1].weight.grad is not None
        and "0.weight" in model.state_dict()
    )


def test_train_and_eval_reach_every_module():
    model = Tied()
    assert all(m.training for m in model.modules())
    assert model.eval() is model and not any(m.training for m in model.modules())
    assert model.train() is model and all(m.training for m in model.modules())
    assert nn.Module.training, "the class itself is not changed"


def test_zero_grad_forgets_every_gradient():
    model = Tied()
    model(np.ones((2, 4))).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())


# --- copies and state -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"]
)
def test_a_copy_computes_the_same_bits_keeps_its_ties_and_shares_nothing(copied):
    model, x = Tied(), rng(1).normal(size=(5, 4))
    model(x).sum().backward()
    twin = copied(model)
    assert twin.weight is twin.encoder[0].weight is twin.again.weight and twin.me is twin
    assert type(twin.weight) is nn.Parameter and [p.name for p in twin.parameters()] == [
        p.name for p in model.parameters()
    ]
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        assert np.array_equal(p.grad, q.grad) and p.dtype == q.dtype
        assert not np.shares_memory(p.data, q.data) and not np.shares_memory(p.grad, q.grad)
    assert np.array_equal(model(x).data, twin(x).data), "the dropout mask too"


def test_the_state_makes_another_model_the_same():
    model, other, x = Tied(0).eval(), Tied(1).eval(), rng(1).normal(size=(5, 4))
    assert not np.array_equal(model(x).data, other(x).data)
    state = model.state_dict()
    other.load_state_dict(state)
    assert np.array_equal(model(x).data, other(x).data) and other.again.weight is other.weight
    state["encoder.0.weight"][:] = 0
    assert model.weight.data.any() and other.weight.data.any(), "the state is a copy, on both sides"
    other.load_state_dict({name: mg.tensor(value) for name, value in model.state_dict().items()})


FULL_MESSAGE = """
Sequential: the state does not fit, nothing was loaded
  missing '0.weight' (2, 3); unexpected '9.weight' (1,); wrong shape of '0.bias': got (4,), \
expected (3,); \
wrong shape of '2.weight': got (1, 3), expected (3, 1); \
wrong dtype of '2.bias': got float32, expected float64
  fix: build the module with the settings it was saved with (strict=False \
ignores missing and unexpected names)"""


def test_a_state_that_does_not_fit_is_refused_with_every_fault_named_and_nothing_loaded():
    model = nn.Sequential(nn.Linear(2, 3, rng=rng()), nn.Tanh(), nn.Linear(3, 1, rng=rng()))
    before = model.state_dict()
    state = {
        "0.bias": np.ones(4),
        "2.weight": np.ones((1, 3)),
        "2.bias": np.ones(1, np.float32),
        "9.weight": np.ones(1),
    }
    with pytest.raises(DataError) as caught:
        model.load_state_dict(state)
    assert str(caught.value) == FULL_MESSAGE.strip()
    # the first fits, the second does not
    good = {"0.weight": np.ones((2, 3)), "0.bias": np.ones(4)}
    with pytest.raises(DataError, match=r"wrong shape of '0.bias'") as caught:
        model.load_state_dict(good, strict=False)
    assert "missing" not in str(caught.value) and "strict" not in str(caught.value)
    assert all(np.array_equal(before[name], value) for name, value in model.state_dict().items())


def test_without_strict_what_fits_is_loaded():
    model = nn.Linear(2, 3, rng=rng())
    bias = model.bias.data.copy()
    model.load_state_dict({"weight": np.full((2, 3), 5.0), "other": np.ones(1)}, strict=False)
    assert (model.weight.data == 5).all() and np.array_equal(model.bias.data, bias)


def test_a_state_that_is_no_dict():
    with pytest.raises(DtypeError) as caught:
        nn.Tanh().load_state_dict([1, 2])
    assert str(caught.value) == (
        "load_state_dict needs a dict of names and arrays\n  got list\n  fix: pass what "
        "state_dict() returned"
    )


# --- how it looks ---------------------------------------------------------------------------------

TREE = """
Tied  scale () float32, extra.a.0 (2,), weight (4, 3) (shared with encoder.0.weight)  \
= 21 parameters
  encoder: Sequential  = 15 parameters
    0: Linear(4 -> 3, tanh)  weight (4, 3), bias (3,)  = 15 parameters
    1: Dropout(0.1)
  heads.0: Linear(3 -> 1)  weight (3, 1) frozen  = 3 parameters
  heads.1: Tanh
  again: Linear(4 -> 3, tanh)  (shared with encoder.0)
  me: Tied  (shared with the top)"""


def test_repr_shows_the_tree_with_shapes_counts_and_ties():
    model = Tied()
    model.heads[0].weight.requires_grad = False
    assert repr(model) == TREE.strip()
    assert (
        repr(nn.Linear(2000, 3, rng=rng()))
        == "Linear(2000 -> 3)  weight (2000, 3), bias (3,)  = 6,003 parameters"
    )


def test_a_notebook_shows_the_layers_too():
    page = mg.models.TwoLayerAutoencoder(4, 2, rng=rng())._repr_html_()
    assert page.lstrip().startswith("<") and page.count("Linear") >= 2


def test_a_module_without_forward_says_so():
    class Empty(nn.Module):
        pass

    with pytest.raises(GradientError) as caught:
        Empty()(1.0)
    assert str(caught.value) == (
        "Empty does not say what it computes\n  it has no forward\n  fix: define forward(self, x) "
        "in the class"
    )


# --- parts that had another name ------------------------------------------------------------------

KINDS = {
    "linear": lambda: mg.models.LinearAutoencoder(4, 2, rng=rng()),
    "tied": lambda: mg.models.LinearAutoencoder(4, 2, tied=True, rng=rng()),
    "two-layer": lambda: mg.models.TwoLayerAutoencoder(4, 2, rng=rng()),
    "deep": lambda: mg.models.DeepAutoencoder(4, 2, 3, rng=rng()),
    "sparse": lambda: mg.models.SparseAutoencoder(4, 6, rng=rng()),
    "denoising": lambda: mg.models.DenoisingAutoencoder(
        mg.models.DeepAutoencoder(4, 2, 3, rng=rng()), sigma=0.1
    ),
    "masked": lambda: mg.models.MaskedAutoencoder((4, 4), 2, width=4, depth=1, rng=rng()),
    "linear-vae": lambda: mg.models.LinearVAE(4, 2, rng=rng()),
    "vae": lambda: mg.models.VariationalAutoencoder(4, 2, hidden=(3,), rng=rng()),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_model_has_an_encoder_and_a_decoder(kind):
    model = KINDS[kind]()
    assert isinstance(model.encoder, nn.Module) and isinstance(model.decoder, nn.Module)
    of_parts = ("encoder.", "decoder.", "autoencoder.encoder.", "autoencoder.decoder.")
    of_the_model = {"log_var", "log_sigma2"}  # the linear VAE's: of no layer
    names = set(model.state_dict())
    assert {n for n in names if not n.startswith(of_parts)} <= of_the_model


@pytest.mark.parametrize("kind", ["linear", "two-layer", "deep", "sparse"])
def test_weights_and_biases_are_numbered_from_the_data_to_the_output(kind):
    parameters = {p.name: p.shape for p in KINDS[kind]().parameters()}
    layers = len(parameters) // 2
    assert set(parameters) == {f"{s}{k}" for s in "Wb" for k in range(1, layers + 1)}
    width = 4  # of the data
    for k in range(1, layers + 1):
        assert parameters[f"W{k}"][0] == width, f"W{k} does not take what W{k - 1} gives"
        width = parameters[f"W{k}"][1]
        assert parameters[f"b{k}"] == (width,)
    assert width == 4


def test_an_older_name_reads_and_assigns_the_part():
    model = KINDS["linear"]()
    assert model.encoder_weight is model.encoder.weight
    assert model.decoder_bias is model.decoder.bias
    model.decoder_weight.data = 3 * model.decoder_weight.data
    new = nn.Parameter(np.ones((4, 2)))
    model.encoder_weight = new
    assert model.encoder.weight is new and dict(model.named_parameters())["encoder.weight"] is new
    deep = KINDS["deep"]()
    assert deep.layer3 is deep.decoder[0] and deep.layer4.weight is deep.decoder[1].weight


def test_an_older_state_loads_also_inside_another_module():
    class Pair(nn.Module):
        def __init__(self):
            self.first, self.second = KINDS["linear"](), [KINDS["deep"]()]

    pair, generator = Pair(), rng(5)
    older = {"first.encoder_weight": (4, 2), "first.encoder_bias": (2,)}
    older |= {"first.decoder_weight": (2, 4), "first.decoder_bias": (4,)}
    for k, (n, m) in enumerate(((4, 3), (3, 2), (2, 3), (3, 4)), start=1):
        older |= {f"second.0.layer{k}.weight": (n, m), f"second.0.layer{k}.bias": (m,)}
    state = {name: generator.normal(size=shape) for name, shape in older.items()}
    pair.load_state_dict(state)
    assert np.array_equal(pair.first.decoder.bias.data, state["first.decoder_bias"])
    assert np.array_equal(pair.second[0].decoder[0].weight.data, state["second.0.layer3.weight"])
    state["first.encoder_weight"] = np.ones((5, 2))
    with pytest.raises(DataError, match=r"wrong shape of 'first.encoder.weight'"):
        pair.load_state_dict(state)


def test_a_tied_decoder_has_the_encoders_weight():
    model = KINDS["tied"]()
    assert np.array_equal(model.decoder.weight.data, model.encoder.weight.data.T)
    assert set(model.state_dict()) == {"encoder.weight", "encoder.bias", "decoder.bias"}
    model.decoder.bias.data = rng(3).normal(size=4)
    z = rng(2).normal(size=(3, 2))
    expected = z @ model.encoder.weight.data.T + model.decoder.bias.data
    np.testing.assert_allclose(model.decoder(z).numpy(), expected, rtol=1e-14)
    model.loss(rng(1).normal(size=(5, 4))).backward()
    assert model.encoder.weight.grad.shape == (4, 2)
    model.encoder.weight.data = np.ones((4, 2))
    assert np.array_equal(model.decoder.weight.data, np.ones((2, 4)))
