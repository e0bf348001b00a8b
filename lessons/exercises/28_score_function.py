"""The score function's estimate: a factor that is not detached (lesson 9).

The gradient of E_q f(z) with respect to phi, for z ~ q(z; phi), can be estimated from samples:

    1/N  sum_n  f(z_n)  d/dphi log q(z_n; phi)

Here `f` and `log_q` are Tensors of shape (N,), the values f(z_n) and log q(z_n; phi), and both have
been computed from phi.  Return a Tensor without axes whose gradient is the estimate, with f as a
number that is known.

The lines below give a gradient, and another one than that.  Repair them.
"""


def surrogate(f, log_q):
    return (f * log_q).mean()
