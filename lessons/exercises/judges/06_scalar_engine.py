"""The judge of exercise 6: the same expressions in the big engine."""

import numpy as np

import minigrad_ae as mg

FUNCTION = "Value"
HINTS = (
    "A Value needs its parents, and for each the slope: the derivative of its own number with "
    "respect to the parent's, which is known when it is made.",
    "backward: 1 is the gradient of y itself.  Then node by node: each parent receives slope times "
    "the node's gradient.",
    "What if a parent is used twice, or both factors are the same Value?  And is the node's own "
    "gradient complete when it is passed on?",
)


# From the simple to the tangled: which of them are right shows the mistake.
EXPRESSIONS = (
    "a + b",
    "a * b",
    "a.tanh() * b + 2",
    "a * a + a",
    "(c := a * b).tanh() + (c + a) * 3",
    "((e := (d := (a + b).tanh() * 0.5) * a) + d) * (d + e * b).tanh() + b * a",
)


def cases(rng):
    yield tuple(0.3 + rng.random(2))


def observe(Value, x, y):
    """Of each expression whether its number and its gradients are those of the engine."""
    facts = {}
    for text in EXPRESSIONS:
        number, slopes = _evaluated(Value, text, x, y)
        expected, known = _evaluated(right, text, x, y)
        facts[f"y = {text} has the right number"] = abs(number - expected) < 1e-9
        facts[f"y = {text} has the right gradient"] = bool(np.all(abs(slopes - known) < 1e-9))
    return facts


def _evaluated(Value, text, x, y):
    a, b = Value(x), Value(y)
    end = eval(text, {"a": a, "b": b})
    end.backward()
    return float(end.data), np.array([a.grad, b.grad], dtype=float)


class right:
    """A tensor without axes of the big engine."""

    def __init__(self, data):
        self.tensor = data if isinstance(data, mg.Tensor) else mg.tensor(data, requires_grad=True)

    data = property(lambda self: self.tensor.item())
    grad = property(lambda self: 0.0 if self.tensor.grad is None else self.tensor.grad)

    def __add__(self, other):
        return right(self.tensor + getattr(other, "tensor", other))

    def __mul__(self, other):
        return right(self.tensor * getattr(other, "tensor", other))

    def tanh(self):
        return right(mg.tanh(self.tensor))

    def backward(self):
        self.tensor.backward()


class overwritten:
    """A Value that is used twice keeps the contribution of one use alone: is its gradient set where
    it should be added to?"""

    def __init__(self, data, slopes=()):
        self.data, self.grad, self.slopes = data, 0.0, slopes

    @classmethod
    def of(cls, x):
        return x if isinstance(x, overwritten) else cls(x)

    def __add__(self, other):
        other = self.of(other)
        return type(self)(self.data + other.data, ((self, 1.0), (other, 1.0)))

    def __mul__(self, other):
        other = self.of(other)
        return type(self)(self.data * other.data, ((self, other.data), (other, self.data)))

    def tanh(self):
        y = np.tanh(self.data)
        return type(self)(y, ((self, self.slope_of_tanh(y)),))

    def slope_of_tanh(self, y):
        return 1 - y * y

    def backward(self):
        self.grad = 1.0
        for node in self.order():
            for parent, slope in node.slopes:
                parent.grad = self.received(parent, slope * node.grad)

    def received(self, parent, contribution):
        return contribution

    def order(self):
        found = []

        def visit(node):
            if node not in found:
                for parent, _ in node.slopes:
                    visit(parent)
                found.append(node)

        visit(self)
        return found[::-1]


class added(overwritten):
    """(Right: what the next ones are made from.)"""

    def received(self, parent, contribution):
        return parent.grad + contribution


class not_squared(added):
    """Sums and products are right.  The slope of tanh is wrong: exercise 1 is about it."""

    def slope_of_tanh(self, y):
        return 1 - y


class own_factor(added):
    """The slopes of a product are wrong where its factors differ.  Does each factor receive its own
    number?  How much does a * b change with a?"""

    def __mul__(self, other):
        other = self.of(other)
        return type(self)(self.data * other.data, ((self, self.data), (other, other.data)))


class every_path(added):
    """Sums, products and tanh are right.  A Value in the middle that is used twice passes its
    gradient on before it is complete: exercise 3 is about the order."""

    def backward(self):
        self.grad = 1.0
        self.walk()

    def walk(self):
        for parent, slope in self.slopes:
            parent.grad += slope * self.grad
            parent.walk()


class not_started(added):
    """All gradients are 0: what is the gradient of y with respect to y, from which the walk
    starts?"""

    def backward(self):
        super().backward()
        for node in self.order():
            node.grad = 0.0


MISTAKES = (overwritten, not_squared, own_factor, every_path, not_started)
