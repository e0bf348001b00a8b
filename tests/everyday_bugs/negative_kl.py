"""an impossible KL divergence"""

import numpy as np

import minigrad_ae as mg

X, _ = mg.data.digits("train")
X = X[:128]
rng = np.random.default_rng(0)
encoder = mg.nn.Linear(64, 8, rng=rng)
decoder = mg.nn.Linear(4, 64, rng=rng)
adam = mg.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-2)

for step in range(30):
    h = encoder(X)
    mu, log_var = h[:, :4], h[:, 4:]
    z = mu + mg.exp(0.5 * log_var) * rng.normal(size=mu.shape)
    error = 0.5 * ((decoder(z) - X) ** 2).sum()
    kl = 0.5 * (1 + log_var - mu**2 - mg.exp(log_var)).sum()  # named
    # right: kl = -0.5 * (1 + log_var - mu**2 - mg.exp(log_var)).sum()
    loss = (error + kl) / len(X)
    adam.zero_grad()
    loss.backward()
    adam.step()

print("error", error.item() / len(X))
