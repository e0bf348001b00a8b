"""A right call of every public function, into which `test_bad_input` puts one bad value after the
other: recorded while the examples in the docstrings run, or written down here.
"""

from __future__ import annotations

import doctest
import importlib
import inspect
import io
import pkgutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from types import CodeType, FrameType
from typing import Any

import argument_calls
import numpy as np
import public
from cases import CASES

import minigrad_ae as mg

Call = tuple[Callable[..., Any], dict[str, Any]]
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def every_call() -> dict[str, Call]:
    """{dotted name: (function, its arguments by name)}."""
    calls = recorded()
    written = {name: call() for name, call in argument_calls.CALLS.items()}
    places: dict[str, str] = {}
    for each in public.public().values():
        places |= {each.path: each.name, f"{each.folder}.{each.path}": each.name}
    for name, call in (written | more()).items():
        calls.setdefault(places.get(name, name).removeprefix("minigrad_ae."), call)
    return dict(sorted((calls | ops()).items()))


def recorded() -> dict[str, Call]:
    """The first call of each function in the examples."""
    wanted = {code: each for each in public.public().values() if (code := _code(each))}
    found: dict[str, Call] = {}
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner(False, FLAGS)
    for module in _modules():
        for example in finder.find(module, extraglobs={"mg": mg, "np": np}):
            with _watching(wanted, found), redirect_stdout(io.StringIO()):
                runner.run(example, clear_globs=False)  # a recorded lambda needs its names
    return {name: call for name, call in found.items() if callable(call[0])}


def ops() -> dict[str, Call]:
    """Of every op, on arrays and on tensors."""
    found: dict[str, Call] = {}
    for name, op in mg.ops.REGISTRY.items():
        cases = CASES[name]
        case = next((c for c in cases if all(np.size(x) > 1 for x in c.inputs)), cases[0])
        tensors = [
            mg.tensor(x, requires_grad=True) if rule else x
            for x, rule in zip(case.inputs, op.vjps * len(case.inputs), strict=False)
        ]
        for kind, inputs in {"arrays": case.inputs, "tensors": tensors}.items():
            named = (
                {"*xs": tuple(inputs)} if op.variadic else dict(zip(op.rules, inputs, strict=True))
            )
            found[f"{name} of {kind}"] = (op, {**named, **case.params})
    return found


def _modules() -> Iterator[Any]:
    for each in pkgutil.walk_packages(mg.__path__, "minigrad_ae."):
        if not each.name.endswith("__main__"):
            yield importlib.import_module(each.name)


def _code(each: public.Public) -> CodeType | None:
    """What Python runs for it: of a class its constructor, of a decorated function the inner."""
    function = each.raw.__init__ if each.is_class else each.function
    return getattr(inspect.unwrap(function), "__code__", None)


@contextmanager
def _watching(wanted: dict[Any, public.Public], found: dict[str, Call]) -> Iterator[None]:
    def seen(frame: FrameType, event: str, arg: Any) -> None:
        each = wanted.get(frame.f_code) if event == "call" else None
        if each is not None:
            found.setdefault(each.name.removeprefix("minigrad_ae."), _called(each, frame))

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        yield
    finally:
        sys.setprofile(before)


def _called(each: public.Public, frame: FrameType) -> Call:
    names, rest, named, values = inspect.getargvalues(frame)
    given = {name: values[name] for name in names}
    given |= {f"*{rest}": values[rest]} if rest else {}
    given |= values[named] if named else {}
    if each.is_member:
        owner = given.pop("self") if "self" in given else given.pop("cls", None)
        return getattr(owner, each.path.split(".")[-1]), given
    given.pop("self", None)
    module = importlib.import_module(each.module)
    return (each.raw if each.is_class else getattr(module, each.path)), given


X = np.random.default_rng(1).random((6, 4))


def more() -> dict[str, Call]:
    """Of functions whose docstring has no example."""
    return _more_kernels() | _more_models() | _more_of_the_rest()


def _more_kernels() -> dict[str, Call]:
    k, x = mg.kernels, X[:2]
    names = "erf exp exp_remainder relu sigmoid softplus log_softmax"
    found: dict[str, Call] = {name: (getattr(k, name), {"x": x}) for name in names.split()}
    back = f"{names} gelu tanh softmax".split()
    for name in back:
        function = getattr(k, f"{name}_backward")
        _, second, *_ = inspect.signature(function).parameters
        found[f"{name}_backward"] = (function, {"g": x, second: x})
    q, heads = X[None], {"heads": 2}
    tokens = {"q": q, "k": q, "v": q}
    weights = np.full((1, 2, 6, 6), 1 / 6)
    found["attention"] = (k.attention, {**tokens, "bias": np.zeros((6, 6)), **heads})
    found["attention_backward"] = (
        k.attention_backward,
        {"g": q, **tokens, "weights": weights, **heads},
    )
    norm = {"g": X, "normed": X, "scale": np.ones(6), "weight": np.ones(4)}
    found["layer_norm_backward"] = (k.layer_norm_backward, norm)
    return {f"kernels.{name}": call for name, call in found.items()}


def _more_models() -> dict[str, Call]:
    a = argument_calls
    linear, vae, linear_vae, masked = a.linear(), a.vae(), a.linear_vae(), a.masked_model()
    z, pictures, mask = X[:, :2], a.PICTURES, np.array([True, False, False, False])
    deep = mg.models.DeepAutoencoder(4, 2, rng=a.rng())
    sparse = mg.models.SparseAutoencoder(4, 2, rng=a.rng())
    denoising = mg.models.DenoisingAutoencoder(linear, drop=0.1)
    vision, warm_up = a.vision(), mg.models.KLWarmUp(a.vae(), 3)
    codes, noise = masked.encode(pictures, mask).data, np.zeros((6, 2))
    calls: list[tuple[Any, dict[str, Any]]] = [
        *((model.encode, {"x": X}) for model in (deep, linear, sparse, denoising, vae, linear_vae)),
        *((model.decode, {"z": z}) for model in (deep, linear, sparse, denoising, vae, linear_vae)),
        *((model.loss, {"x": X}) for model in (deep, linear, sparse)),
        (deep.forward, {"x": X}),
        (vae.forward, {"x": X}),
        (vae.log_weights, {"x": X, "rng": a.rng(), "n_samples": 2}),
        (vae.log_likelihood, {"x": X, "rng": a.rng(), "n_samples": 2}),
        (linear.penalised, {"error": mg.tensor(1.0), "l2": 0.1}),
        (deep.start_at, {"mean": X[0]}),
        (vae.terms, {"x": X, "noise": noise}),
        (linear_vae.expected_log_likelihood, {"x": X, "mu": z, "log_var": z}),
        (masked.encode, {"x": pictures, "mask": mask}),
        (masked.decode, {"z": codes, "mask": mask}),
        (masked.predict, {"z": codes, "mask": mask}),
        (masked.forward, {"x": pictures, "mask": mask}),
        (masked.picture, {"patches": pictures.reshape(6, 4, 4)}),
        (warm_up.at, {"epoch": 2}),
        (vision.attention_maps, {"x": pictures}),
        (vision.standardise, {"X": pictures}),
    ]
    attention = vision.blocks[0].attention
    calls.append((attention.weights, {"x": np.ones((2, 3, 4))}))
    calls.append((fitted_once(linear).inverse_transform, {"Z": z}))
    return {function.__qualname__: (function, given) for function, given in calls}


def fitted_once(linear: Any) -> Any:
    """A linear autoencoder that has seen data: its principal axes have places and signs."""
    linear.fit(X - X.mean(axis=0))
    linear.measure_codes(X)
    return linear


def _more_of_the_rest() -> dict[str, Call]:
    fitted = mg.analytic.pca(X)
    mixture = mg.analytic.GaussianMixture([0.5, 0.5], X[:2], np.stack([np.eye(4)] * 2))
    linear = fitted_once(argument_calls.linear())
    p = mg.nn.Parameter(X)
    sgd, lbfgs = mg.optim.SGD([p], 0.1, momentum=0.9), mg.optim.LBFGS([p])
    tensor = mg.tensor(X, requires_grad=True)

    def closure() -> Any:
        loss = ((p - 1) ** 2).sum()
        loss.backward()
        return loss

    calls: list[tuple[Any, dict[str, Any]]] = [
        (fitted.gap, {"M": 2}),
        (fitted.unique, {"M": 2}),
        (mixture.log_density, {"points": X, "sigma": 0.5}),
        (mixture.sample, {"n": 3, "rng": np.random.default_rng(0)}),
        (mg.certify_pca, {"model": linear, "X": X}),
        (sgd.load_state_dict, {"state": sgd.state_dict()}),
        (lbfgs.load_state_dict, {"state": lbfgs.state_dict()}),
        (lbfgs.step, {"closure": closure}),
        (mg.compile, {"function": lambda x: (tensor * x).sum()}),
        (mg.nn.Sequential(mg.nn.Tanh()).forward, {"x": X}),
        (tensor.argmax, {"axis": 0}),
        (tensor.argmin, {"axis": 0}),
        (tensor.astype, {"dtype": np.float32}),
        (tensor.register_hook, {"fn": lambda g: None}),
        (tensor.reshape, {"*shape": (4, 6)}),
        (tensor.transpose, {"*axes": (1, 0)}),
    ]
    found: dict[str, Call] = {f.__qualname__: (f, given) for f, given in calls}
    found["nn.Sequential"] = (mg.nn.Sequential, {"*layers": (mg.nn.Tanh(),)})
    return found
