"""Second spellings for exercise 6: closures, as micrograd has them."""

import math


class right:
    def __init__(self, data, parents=(), send=lambda g: ()):
        self.data, self.grad, self.parents, self.send = data, 0.0, parents, send

    def __add__(self, other):
        other = other if isinstance(other, right) else right(other)
        return type(self)(self.data + other.data, (self, other), lambda g: (g, g))

    def __mul__(self, other):
        other = other if isinstance(other, right) else right(other)
        product = self.data * other.data
        return type(self)(product, (self, other), lambda g: (other.data * g, self.data * g))

    def tanh(self):
        y = math.tanh(self.data)
        return type(self)(y, (self,), lambda g: (g / math.cosh(self.data) ** 2,))

    def backward(self):
        found = []

        def visit(node):
            if node not in found:
                for parent in node.parents[::-1]:
                    visit(parent)
                found.append(node)

        visit(self)
        self.begin()
        while found:
            node = found.pop()
            for parent, sent in zip(node.parents, node.send(node.grad), strict=True):
                parent.receive(sent)

    def begin(self):
        self.grad = 1.0

    def receive(self, sent):
        self.grad += sent


class overwritten(right):
    def receive(self, sent):
        self.grad = sent


class not_squared(right):
    def tanh(self):
        y = math.tanh(self.data)
        return type(self)(y, (self,), lambda g: (g - g * y,))


class not_started(right):
    def begin(self):
        pass
