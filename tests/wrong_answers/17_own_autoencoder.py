"""Second spellings for exercise 17: the big engine."""

import minigrad_ae as mg


def descend(X, W1, W2, eta, steps, factor=0.5, forget=True, moved=(0, 1)):
    weights = [mg.tensor(W, requires_grad=True) for W in (W1, W2)]
    for _ in range(steps):
        if forget:
            for p in weights:
                p.zero_grad()
        (factor * ((X @ weights[0] @ weights[1] - X) ** 2).sum()).backward()
        for k in moved:
            weights[k].data = weights[k].data - eta * weights[k].grad
    return tuple(p.data for p in weights)


def right(*case):
    return descend(*case)


def without_half(*case):
    return descend(*case, factor=1)


def mean_over_data(*case):
    return descend(*case, factor=0.5 / len(case[0]))


def decoder_stays(*case):
    return descend(*case, moved=(0,))


def encoder_stays(*case):
    return descend(*case, moved=(1,))
