"""The judge of exercise 16: the same expressions in the big engine."""

import numpy as np

import minigrad_ae as mg

FUNCTION = "Tensor"
NEEDS = ("02_unbroadcast", "03_topological_order")
HINTS = (
    "Let every Tensor keep its parents, and a function that makes of its own gradient what each "
    "parent receives.",
    "Which shape has what a parent receives from a + b, if it was stretched?  Exercise 2.  And "
    "from a @ b?  Exercise 14.",
    "sum: each entry of the parent has acted on it with the slope 1, so what does each receive?",
)

# From the simple to the tangled: which of them are right shows the mistake.
EXPRESSIONS = (
    "(a + a).sum()",
    "(a * 2 + 1).sum()",
    "(a * c).sum() * 3",
    "(a @ c).sum()",
    "(a @ c * c).sum()",
    "(a + b).sum()",
    "(a * b + b).sum()",
    "(d := (a @ c + b) * a).sum() * (d * d).sum()",
)


def cases(rng):
    yield tuple(0.3 + rng.random(shape) for shape in ((3, 3), (3,), (3, 3)))


def observe(Tensor, *arrays):
    """Of each expression whether its number and its gradients are those of the engine."""
    facts = {}
    for text in EXPRESSIONS:
        number, slopes = _evaluated(Tensor, text, arrays)
        expected, known = _evaluated(right, text, arrays)
        facts[f"y = {text} has the right number"] = np.allclose(number, expected, 1e-9)
        shapes = all(a.shape == b.shape for a, b in zip(slopes, known, strict=True))
        facts[f"some gradient of y = {text} is not 0"] = any(np.any(slope) for slope in slopes)
        facts[f"gradients of y = {text} have the right shapes"] = shapes
        same = shapes and all(np.allclose(a, b, 1e-9) for a, b in zip(slopes, known, strict=True))
        facts[f"gradients of y = {text} are right"] = same
    return facts


def _evaluated(Tensor, text, arrays):
    leaves = dict(zip("abc", map(Tensor, arrays), strict=True))
    end = eval(text, dict(leaves))
    end.backward()
    return float(end.data), [np.asarray(leaf.grad, dtype=float) for leaf in leaves.values()]


class right:
    """A tensor of the big engine."""

    def __init__(self, data):
        self.tensor = data if isinstance(data, mg.Tensor) else mg.tensor(data, requires_grad=True)

    data = property(lambda self: self.tensor.numpy())

    @property
    def grad(self):
        return np.zeros(self.tensor.shape) if self.tensor.grad is None else self.tensor.grad

    def __add__(self, other):
        return right(self.tensor + getattr(other, "tensor", other))

    def __mul__(self, other):
        return right(self.tensor * getattr(other, "tensor", other))

    def __matmul__(self, other):
        return right(self.tensor @ getattr(other, "tensor", other))

    def sum(self):
        return right(self.tensor.sum())

    def backward(self):
        self.tensor.backward()


class overwritten:
    """A Tensor that is used twice keeps the contribution of one use alone: is its gradient set
    where it should be added to?"""

    def __init__(self, data, parents=(), send=lambda g: ()):
        self.data, self.parents, self.send = np.asarray(data, dtype=float), parents, send
        self.grad = np.zeros(self.data.shape)

    def other(self, x):
        return x if isinstance(x, overwritten) else type(self)(x)

    def __add__(self, other):
        other = self.other(other)
        return type(self)(self.data + other.data, (self, other), lambda g: (g, g))

    def __mul__(self, other):
        other = self.other(other)
        a, b = self.data, other.data
        return type(self)(a * b, (self, other), lambda g: self.factors(g, a, b))

    def factors(self, g, a, b):
        return g * b, g * a

    def __matmul__(self, other):
        a, b = self.data, other.data
        return type(self)(a @ b, (self, other), lambda g: self.matrices(g, a, b))

    def matrices(self, g, a, b):
        return g @ b.T, a.T @ g

    def sum(self):
        return type(self)(self.data.sum(), (self,), lambda g: (self.spread(g),))

    def spread(self, g):
        return np.full(self.data.shape, g)

    def backward(self):
        self.grad = np.ones(())
        for node in self.order():
            self.pass_on(node)

    def pass_on(self, node):
        for parent, sent in zip(node.parents, node.send(node.grad), strict=True):
            parent.receive(sent)

    def receive(self, sent):
        self.grad = self.fitted(sent)

    def fitted(self, sent):
        """What was sent, in the shape of this Tensor."""
        sent = sent.sum(axis=tuple(range(sent.ndim - self.data.ndim)))
        ones = tuple(k for k, n in enumerate(self.data.shape) if n < sent.shape[k])
        return sent.sum(axis=ones, keepdims=True)

    def order(self):
        found = []

        def visit(node):
            if node not in found:
                for parent in node.parents:
                    visit(parent)
                found.append(node)

        visit(self)
        return found[::-1]


class added(overwritten):
    """(Right: what the next ones are made from.)"""

    def receive(self, sent):
        self.grad = self.grad + self.fitted(sent)


class stretched(added):
    """Without stretching all is right.  A Tensor that was stretched receives a gradient of the
    stretched shape: exercise 2 is about it."""

    def fitted(self, sent):
        return sent


class averaged(added):
    """Without stretching all is right.  For a Tensor that was stretched you average over its
    copies: each of them has acted by itself."""

    def fitted(self, sent):
        return super().fitted(sent) * (self.data.size / sent.size)


class matrices_as_they_are(added):
    """Sums and products entry by entry are right.  The gradients of a @ b are not: what a_ij
    receives is a sum over the columns of b.  Which side, and which of them transposed?"""

    def matrices(self, g, a, b):
        return g @ b, a @ g


class own_factor(added):
    """Sums and matrices are right.  Of a * b each factor receives its own numbers: how much does
    the product change with a?"""

    def factors(self, g, a, b):
        return g * a, g * b


class sum_of_ones(added):
    """sum passes on ones, whatever comes in: it is right at the end of a graph, and only there."""

    def spread(self, g):
        return np.ones(self.data.shape)


class mean_for_sum(added):
    """What comes back through sum is divided by the number of entries: that would be a mean."""

    def spread(self, g):
        return np.full(self.data.shape, g / self.data.size)


class not_started(added):
    """All gradients are 0: what is the gradient of y with respect to y?"""

    def backward(self):
        self.grad = np.zeros(())


MISTAKES = (
    overwritten,
    stretched,
    averaged,
    matrices_as_they_are,
    own_factor,
    sum_of_ones,
    mean_for_sum,
    not_started,
)
