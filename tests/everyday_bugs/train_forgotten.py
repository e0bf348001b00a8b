"""train or eval forgotten"""

import numpy as np

import minigrad_ae as mg

X, _ = mg.data.digits("train")
test, _ = mg.data.digits("test")
rng = np.random.default_rng(0)
encoder = mg.nn.Sequential(mg.nn.Linear(64, 32, rng=rng), mg.nn.ReLU(), mg.nn.Dropout(0.5, rng=rng))
model = mg.nn.Sequential(encoder, mg.nn.Linear(32, 64, rng=rng))
adam = mg.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(2):
    for batch in mg.data.batches(X, 128, rng):
        loss = 0.5 * ((model(batch) - batch) ** 2).sum() / len(batch)
        adam.zero_grad()
        loss.backward()
        adam.step()
    model.eval()  # named
    # right: model.train()
    print(epoch, loss.item())
