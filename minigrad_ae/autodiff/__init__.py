"""Reverse-mode differentiation.  Read this first.

graph        an array together with the story of how it was computed: `Value`
origin       which line of the user's code that was
rules        from formula to function: a rule is one Python expression
operation    an op: its law, its forward, one rule for each input; the registry of all of them
engine       the backward pass: `backward`, `grad`
staleness    data that were changed after a rule had come to rely on them
messages     what all of these say when something does not fit
check        gradients that prove themselves: `check_graph`, `gradcheck`
curvature    second derivatives, as products with a vector
"""
