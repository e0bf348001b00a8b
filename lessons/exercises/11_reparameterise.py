"""The reparameterisation: samples that gradients can pass (lesson 9).

A row of `mu` (N, M) and of `log_var` (N, M) describes a Gaussian of independent units; log_var is
log sigma^2.  Return one sample for each row, an array z (N, M), written as mu plus noise that has
been scaled: so mu and log_var may be Tensors, and the gradient reaches them.  `rng` is a
np.random.Generator.
"""

import minigrad_ae as mg  # noqa: F401  (mg.exp takes arrays and Tensors)


def reparameterise(mu, log_var, rng):
    raise NotImplementedError("return a sample for each row")
