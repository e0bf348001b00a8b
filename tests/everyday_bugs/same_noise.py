"""the same noise again"""

import numpy as np

import minigrad_ae as mg

X, _ = mg.data.digits("train")
X = X[:128]
rng = np.random.default_rng(0)
encoder = mg.nn.Linear(64, 8, rng=rng)
decoder = mg.nn.Linear(4, 64, rng=rng)
adam = mg.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-2)
draw = np.random.default_rng(1)

for step in range(12):
    h = encoder(X)
    mu, log_var = h[:, :4], h[:, 4:]
    eps = np.random.default_rng(1).normal(size=mu.shape)
    # right: eps = draw.normal(size=mu.shape)
    z = mu + mg.exp(0.5 * log_var) * eps  # named
    error = 0.5 * ((decoder(z) - X) ** 2).sum()
    kl = 0.5 * (mg.exp(log_var) + mu**2 - 1 - log_var).sum()
    loss = (error + kl) / len(X)
    adam.zero_grad()
    loss.backward()
    adam.step()

print("bound", -loss.item())
