"""Second spellings for exercise 16: each operation does its own chores."""

import numpy as np


def back_to(g, shape):
    while g.ndim > len(shape):
        g = g.sum(axis=0)
    for axis, n in enumerate(shape):
        if n == 1:
            g = g.sum(axis=axis, keepdims=True)
    return g


class right:
    def __init__(self, data):
        self.data, self.uses = np.array(data, dtype=float), []
        self.begin()

    def begin(self):
        self.grad = np.zeros_like(self.data)

    def made(self, data, *uses):
        y = type(self)(data)
        y.uses = uses
        return y

    def __add__(self, other):
        other = other if isinstance(other, right) else right(other)
        return self.made(self.data + other.data, (self, lambda g: g), (other, lambda g: g))

    def __mul__(self, other):
        a, b = self, other if isinstance(other, right) else right(other)
        return self.made(a.data * b.data, (a, lambda g: b.data * g), (b, lambda g: a.data * g))

    def __matmul__(self, other):
        back = (self, lambda g: np.einsum("ik,jk->ij", g, other.data))
        return self.made(
            np.dot(self.data, other.data), back, (other, lambda g: np.dot(g.T, self.data).T)
        )

    def sum(self):
        return self.made(np.sum(self.data), (self, lambda g: g * np.ones_like(self.data)))

    def backward(self):
        found = {}

        def visit(node):
            if node not in found:
                for parent, _ in node.uses:
                    visit(parent)
                found[node] = True

        visit(self)
        self.grad = np.ones(())
        for node in reversed(found):
            for parent, rule in node.uses:
                parent.add(rule(node.grad))

    def add(self, sent):
        self.grad = self.grad + back_to(sent, self.data.shape)


class overwritten(right):
    def add(self, sent):
        self.grad = back_to(sent, self.data.shape)


class stretched(right):
    def add(self, sent):
        self.grad = self.grad + sent


class sum_of_ones(right):
    def sum(self):
        return self.made(self.data.sum(), (self, lambda g: self.data * 0 + 1))


class matrices_as_they_are(right):
    def __matmul__(self, other):
        uses = (self, lambda g: g @ other.data), (other, lambda g: self.data @ g)
        return self.made(self.data @ other.data, *uses)
