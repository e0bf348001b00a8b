"""From nothing: an engine for numbers, in some forty lines (lesson 1).

Write a class of numbers that remember where they came from.  `Value(3.0)` is an input; `a + b`,
`a * b` and `a.tanh()` are new Values, and so are `a + 2` and `a * 2` with a plain number.
`y.backward()` sets `.grad` of every Value that y was computed from to dy/dValue; before it, `.grad`
is 0.0.  `.data` is the number.

    a = Value(2.0)
    y = a * a + a
    y.backward()
    a.grad            5.0

Start with + and `backward`, and check; exercise 3 is the order of the walk.
"""

import math  # noqa: F401


class Value:
    def __init__(self, data):
        self.data = data
        self.grad = 0.0

    def __add__(self, other):
        raise NotImplementedError("a Value that remembers self and other")

    def __mul__(self, other):
        raise NotImplementedError("a Value that remembers self and other")

    def tanh(self):
        raise NotImplementedError("a Value that remembers self")

    def backward(self):
        raise NotImplementedError("walk back from here, each Value when it is complete")
