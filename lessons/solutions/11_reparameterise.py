"""The noise does not depend on the parameters: a fixed distribution, moved and stretched."""

import minigrad_ae as mg


def reparameterise(mu, log_var, rng):
    return mu + mg.exp(log_var / 2) * rng.standard_normal(mu.shape)
