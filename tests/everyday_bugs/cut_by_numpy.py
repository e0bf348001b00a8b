"""the graph is cut"""

import numpy as np

import minigrad_ae as mg


class Autoencoder(mg.nn.Module):
    def __init__(self, rng):
        self.encoder = mg.nn.Linear(64, 8, rng=rng)
        self.decoder = mg.nn.Linear(8, 64, rng=rng)

    def forward(self, x):
        h = mg.tanh(self.encoder(x))
        h = mg.tensor(h.numpy())  # named
        # right: h = 1.0 * h
        return self.decoder(h)


X, _ = mg.data.digits("train")
rng = np.random.default_rng(0)
model = Autoencoder(rng)
adam = mg.optim.Adam(model.parameters(), lr=1e-3)

for batch in mg.data.batches(X, 128, rng):
    loss = 0.5 * ((model(batch) - batch) ** 2).sum() / len(batch)
    adam.zero_grad()
    loss.backward()
    adam.step()

print("loss", loss.item())
