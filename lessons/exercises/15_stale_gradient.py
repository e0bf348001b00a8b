"""Descent that never settles: the gradient of this step alone (lesson 1).

`E()` computes the loss anew, a Tensor; `parameters` is a list of Tensors.  Take `steps` steps of
gradient descent, p <- p - eta dE/dp for every parameter, and return the list of the values that E
had before each step.  Somebody may have used the parameters before.

With the lines below E falls for a few steps, rises again, and swings without end.  Repair them.
"""


def descend(E, parameters, eta, steps):
    values = []
    for _ in range(steps):
        loss = E()
        loss.backward()
        for p in parameters:
            p.data = p.data - eta * p.grad
        values.append(loss.item())
    return values
