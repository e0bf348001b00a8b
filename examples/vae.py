"""A variational autoencoder of handwritten digits: the bound, the loop and a map of the digits.

ELBO = E_q[log p(x | z)] - KL(q(z | x) || p(z)) <= log p(x), with the two networks in
q(z | x) = N(z; mu(x), diag sigma(x)^2) and p(x | z) = N(x; g(z), s^2 I), and p(z) = N(z; 0, I).
"""

import matplotlib.pyplot as plt
import numpy as np

import minigrad_ae as mg
from minigrad_ae.nn import Linear, Sequential, Tanh

M = 2  # numbers in a code z
EPOCHS = 120
rng = np.random.default_rng(0)
X, _ = mg.data.digits("train")  # (1437, 64) pixels in [0, 1]
T, labels = mg.data.digits("test")  # (360, 64)
D = X.shape[1]

encoder = Sequential(Linear(D, 64, rng=rng), Tanh(), Linear(64, 2 * M, rng=rng))
decoder = Sequential(Linear(M, 64, rng=rng), Tanh(), Linear(64, D, rng=rng))
log_s2 = mg.nn.Parameter(np.log(0.3**2))  # ln s^2, one variance for all pixels, learnt, too
optimizer = mg.optim.Adam([*encoder.parameters(), *decoder.parameters(), log_s2], lr=0.005)


def encode(x):
    """Mean and log variance of q(z | x), each (n, M)."""
    statistics = encoder(x)
    return statistics[:, :M], statistics[:, M:]


def elbo(x):
    """A sample of the bound for each row of x, (n,) nats: a sum over pixels and over units."""
    mu, log_var = encode(x)
    eps = rng.standard_normal(mu.shape)
    z = mu + mg.exp(log_var / 2) * eps  # a sample of q(z | x) through which gradients flow
    squares = (x - decoder(z)) ** 2 / mg.exp(log_s2)
    log_p = -0.5 * (squares + log_s2 + np.log(2 * np.pi)).sum(axis=1)
    kl = 0.5 * (mu**2 + mg.exp(log_var) - 1 - log_var).sum(axis=1)
    return log_p - kl


for epoch in range(1, EPOCHS + 1):
    for x in mg.data.batches(X, 64, rng):
        loss = -elbo(x).mean()  # a mean over the digits of the batch
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 20 == 0:
        print(f"epoch {epoch:3}: test ELBO {elbo(T).mean().item():.2f} nats a digit")

# The best that linear networks can do is known: probabilistic PCA, a Gaussian of covariance C.
variances, axes = np.linalg.eigh(np.cov(X.T, bias=True))
noise = variances[:-M].mean()
C = (axes[:, -M:] * (variances[-M:] - noise)) @ axes[:, -M:].T + noise * np.eye(D)
R = T - X.mean(axis=0)
linear = -0.5 * (np.linalg.slogdet(2 * np.pi * C)[1] + (R @ np.linalg.inv(C) * R).sum(axis=1))

with mg.no_grad():
    bound = np.mean([elbo(T).numpy() for _ in range(20)])  # over 20 samples of z, and 360 digits
    codes = encode(T)[0].numpy()
    line = np.linspace(-2.5, 2.5, 15)
    grid = np.array([(a, b) for b in line[::-1] for a in line])
    pictures = decoder(grid).numpy()
print(f"test ELBO {bound:.2f} nats a digit; log p of probabilistic PCA {linear.mean():.2f}")

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 5), layout="constrained")
framed = np.pad(pictures.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
sheet = framed.reshape(15, 15, 10, 10).swapaxes(1, 2).reshape(150, 150)
left.imshow(sheet, cmap="gray_r", vmin=0, vmax=1, extent=(-2.68, 2.68, -2.68, 2.68))
left.set(title="The decoder: g(z) over the plane of codes")
for digit in range(10):
    right.scatter(*codes[labels == digit].T, marker=f"${digit}$", s=30, linewidths=0.2)
right.set(title=f"The encoder: mu of {len(T)} test digits, ELBO {bound:.1f} nats", aspect="equal")
for ax in (left, right):
    ax.set(xlabel="z1", ylabel="z2")
plt.savefig("vae.png", dpi=120)
