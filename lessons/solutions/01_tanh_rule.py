"""tanh' = 1 - tanh^2, entry by entry, times what comes in."""


def tanh_rule(g, y):
    return g * (1 - y * y)
