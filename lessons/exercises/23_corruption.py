"""The corruption: noise on the input, and none on the target (lesson 6).

A denoising autoencoder reads a corrupted x and is to give the clean one.  "Setting a randomly
chosen subset of the input variables to zero": each entry of X (N, D) becomes 0 with the probability
`drop`, independently of all others, and anew at each visit.  Return the pair (corrupted, clean).
X is the data set itself, and is needed again.

The lines below train, and the data become emptier with each visit.  Repair them.
"""


def corrupt(X, drop, rng):
    noisy = X
    lost = rng.random(X.shape[1]) < drop
    noisy[:, lost] = 0
    return noisy, X
