"""Every gradient is forgotten before the next one is computed, the first time, too."""


def descend(E, parameters, eta, steps):
    values = []
    for _ in range(steps):
        for p in parameters:
            p.zero_grad()
        loss = E()
        loss.backward()
        for p in parameters:
            p.data = p.data - eta * p.grad
        values.append(loss.item())
    return values
