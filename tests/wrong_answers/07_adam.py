"""Second spellings for exercise 7."""

import numpy as np


def right(w, g, m, v, t, eta=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    m = m + (1 - beta1) * (g - m)
    v = v + (1 - beta2) * (g * g - v)
    rate = eta * np.sqrt(1 - beta2**t) / (1 - beta1**t)
    return w - rate * m / (np.sqrt(v) + eps * np.sqrt(1 - beta2**t)), m, v


def uncorrected(w, g, m, v, t, eta, beta1, beta2, eps):
    m += (1 - beta1) * (g - m)
    v += (1 - beta2) * (g * g - v)
    w -= eta * m / (v**0.5 + eps)
    return w, m, v


def eps_inside(w, g, m, v, t, eta, beta1, beta2, eps):
    _, m, v = right(w, g, m, v, t, eta, beta1, beta2, eps)
    return w - eta * m / (1 - beta1**t) * (v / (1 - beta2**t) + eps) ** -0.5, m, v


def uphill(w, g, m, v, t, *settings):
    new, m, v = right(w, g, m, v, t, *settings)
    return 2 * w - new, m, v
