"""Second spellings for exercise 15."""

import minigrad_ae as mg


def right(E, parameters, eta, steps):
    optimizer, values = mg.optim.SGD(parameters, lr=eta), []
    for _ in range(steps):
        optimizer.zero_grad()
        values.append(E())
        values[-1].backward()
        optimizer.step()
    return [value.item() for value in values]


def accumulated(E, parameters, eta, steps):
    values = []
    while len(values) < steps:
        loss = E()
        values.append(float(loss.data))
        loss.backward()
        for p in parameters:
            p.data -= eta * p.grad
    return values


def forgotten_once(E, parameters, eta, steps):
    for p in parameters:
        p.zero_grad()
    return accumulated(E, parameters, eta, steps)


def forgotten_too_late(E, parameters, eta, steps):
    values = []
    for _ in range(steps):
        loss = E()
        values.append(loss.item())
        loss.backward()
        for p in parameters:
            p.data = p.data - eta * p.grad
            p.zero_grad()
    return values


def last_only(E, parameters, eta, steps):
    values = []
    for _ in range(steps):
        parameters[-1].zero_grad()
        values += accumulated(E, parameters, eta, 1)
    return values
