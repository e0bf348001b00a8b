"""A Value keeps its parents, and with each the slope towards it: the chain rule is one line."""

import math


class Value:
    def __init__(self, data, slopes=()):
        self.data = data
        self.grad = 0.0
        self.slopes = slopes  # pairs (parent, d self / d parent)

    def __add__(self, other):
        other = as_value(other)
        return Value(self.data + other.data, ((self, 1.0), (other, 1.0)))

    def __mul__(self, other):
        other = as_value(other)
        return Value(self.data * other.data, ((self, other.data), (other, self.data)))

    def tanh(self):
        y = math.tanh(self.data)
        return Value(y, ((self, 1 - y * y),))

    def backward(self):
        nodes = order(self)
        for node in nodes:
            node.grad = 0.0
        self.grad = 1.0
        for node in nodes:
            for parent, slope in node.slopes:
                parent.grad += slope * node.grad


def as_value(x):
    return x if isinstance(x, Value) else Value(x)


def order(end):
    """All nodes, each after those that were computed from it (exercise 3)."""
    nodes, seen, waiting = [], set(), [(end, False)]
    while waiting:
        node, parents_are_done = waiting.pop()
        if parents_are_done:
            nodes.append(node)
        elif node not in seen:
            seen.add(node)
            waiting.append((node, True))
            waiting.extend((parent, False) for parent, _ in node.slopes)
    return nodes[::-1]
