"""The targets become a column, so that nothing is stretched."""


def loss(y, t):
    return 0.5 * ((y - t[:, None]) ** 2).sum()
