"""an impossible KL divergence"""

import numpy as np

import minigrad_ae as mg

X, _ = mg.data.digits("train")
X = X[:128] * 16.0
# right: X = X[:128]
rng = np.random.default_rng(0)
W1 = mg.tensor(rng.normal(size=(64, 8)) / 8, requires_grad=True, name="W1")
W2 = mg.tensor(rng.normal(size=(4, 64)) / 8, requires_grad=True, name="W2")


def kl_to_prior(mu, log_var):
    return 0.5 * (mg.exp(log_var) + mu**2 - 1 - log_var).sum()  # named


h = X @ W1
mu, log_var = h[:, :4], h[:, 4:]
z = mu + mg.exp(0.5 * log_var) * rng.normal(size=mu.shape)
error = 0.5 * ((z @ W2 - X) ** 2).sum()
loss = (error + kl_to_prior(mu, log_var)) / len(X)
loss.backward()
print("loss", loss.item(), "KL", kl_to_prior(mu, log_var).item())
