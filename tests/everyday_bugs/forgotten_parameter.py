"""a parameter that the optimiser does not know"""

import numpy as np

import minigrad_ae as mg

X, _ = mg.data.digits("train")
rng = np.random.default_rng(0)
encoder = mg.nn.Sequential(mg.nn.Linear(64, 16, rng=rng), mg.nn.Tanh())
decoder = mg.nn.Linear(16, 64, rng=rng)
both = [*encoder.parameters(), *decoder.parameters()]
optimizer = mg.optim.Adam(encoder.parameters(), lr=1e-3)  # named
# right: optimizer = mg.optim.Adam(both, lr=1e-3)

for batch in mg.data.batches(X, 128, rng):
    y = decoder(encoder(batch))
    loss = 0.5 * ((y - batch) ** 2).sum() / len(batch)
    encoder.zero_grad()
    decoder.zero_grad()
    loss.backward()
    optimizer.step()

print("loss", loss.item())
