"""f is a number here, and log q is what is differentiated."""


def surrogate(f, log_q):
    return (f.detach() * log_q).mean()
