"""The words of the lessons' outputs, each explained in one or two sentences; `Lesson.words` prints
those that a lesson uses.
"""

from __future__ import annotations

WORDS = {
    "active unit": "a latent unit whose mean moves with the input: the variance of mu over the"
    " data is above .01 (Burda et al. 2016).",
    "aggregate posterior": "q(z), the mean of q(z | x) over the data: where codes are.",
    "amortisation gap": "how far the bound of an encoder's q(z | x) lies below the bound of "
    "the best q of the same family, found for each x by itself.",
    "approximation gap": "how far the bound lies below ln p(x) with the best q of its family, "
    "because the posterior is not in the family.",
    "attention weight": "how much a token takes from another: numbers >= 0 which sum to 1 over"
    " all tokens that are looked at.",
    "balancedness": "W1 W1^T - W2^T W2: 0 where both layers share the strength of each unit "
    "equally.  Gradient flow (descent with tiny steps) keeps it as it was.",
    "certificate": "a list of what PCA promises of a linear autoencoder (loss, subspace, "
    "gradient, curvature), each beside what was measured and how far apart they may be.",
    "closure": "a function that computes the loss and its gradient anew; L-BFGS calls it as "
    "often as a step needs.",
    "complex step": "f'(t) = Im f(t + is) / s with a tiny s: no difference is taken, so no "
    "digits are lost.",
    "dictionary": "the columns of the decoder W2: each output is a sum of them, weighted by the "
    "code.",
    "distortion": "E ||x - y||^2, the squared error of reconstructions from drawn codes; a sum"
    " over features, a mean over data.",
    "ELBO": "evidence lower bound: L = E_q ln p(x | z) - KL(q(z | x) || p(z)), never above ln "
    "p(x).",
    "exact": "computed by a formula or by linear algebra, without training.",
    "fan-out": "a value that is used more than once; its gradient is the sum of what comes "
    "back from each use.",
    "FISTA": "an iteration (Beck & Teboulle 2009) towards the best codes z of given x and W2; its "
    "duality gap bounds how far E + lambda sum |z| still is above the minimum.",
    "floor": "a value that no function whatever can be below; measured with its own standard "
    "error where it is a mean over samples.",
    "Gaussian conditional": "the mean of the hidden pixels given the visible ones, if pixels "
    "were jointly Gaussian: the best that means and covariances alone allow.",
    "held-out rows": "rows of the data that training has not seen.",
    "importance weight": "w = p(x | z) p(z) / q(z | x) for a z drawn from q.  Its mean is "
    "p(x), whatever q is; how much it scatters tells how good q is.",
    "infimum": "the greatest number that a loss is never below; perhaps no weights reach it.",
    "KL": "KL(q || p) = E_q ln q/p, how far a distribution q is from p: at least 0, and 0 only"
    " if they are equal.",
    "latent unit": "one of the M numbers z that the encoder makes of a row; also called code.",
    "mask ratio": "the share of patches that the encoder does not see.",
    "mask token": "the one learnt vector that stands for every hidden patch where the decoder "
    "starts.",
    "minibatch": "a few rows, drawn at random for one step; their gradient, divided by their "
    "number, stands for that of all rows.",
    "nats": "the unit of information if logarithms are natural: 1 nat = 1.44 bits.",
    "negative curvature": "a direction in which E falls on both sides of a point where the "
    "gradient is 0: the point is a saddle.",
    "PCA's loss": "E of the best projection onto M dimensions: half the sum of the eigenvalues"
    " of X^T X (X centred) from number M + 1 on.",
    "posterior collapse": "a latent unit has KL 0: q(z_j | x) is the prior for every x, and "
    "the unit says nothing about x.",
    "posterior mean": "E[x | x~]: the mean of all clean x that may have become the noisy x~, "
    "each weighed by how probable it is.  No answer has a smaller squared error on average.",
    "principal angle": "the angle between two subspaces, direction by direction; all 0 if they"
    " are the same subspace.",
    "projector distance": "the Frobenius norm of the difference between the projections onto "
    "two subspaces; 0 if they are the same subspace.",
    "rate": "the KL of q(z | x) to the prior, a mean over data, in nats: what the code costs.",
    "reduced-rank regression": "the linear map of a given rank from inputs to targets with the"
    " least squared error, found by linear algebra (Izenman 1975).",
    "rel.": "relative: divided by the size of what it is compared with.",
    "rule": "of an op y = f(x): the line that turns g = dL/dy into dL/dx (a vector-Jacobian "
    "product, vjp).",
    "score": "the gradient of ln p(x) by x: it points to where data are more likely.",
    "score function": "the gradient of ln q(z) by the parameters of q; times f(z) it estimates"
    " the gradient of E f(z) without a derivative of f (REINFORCE).",
    "share of variance left": "sum of (y - x)^2 over the sum of (x - mean)^2, mean of the "
    "training rows: 0 is perfect, 1 is what answering with the mean leaves.",
    "sparse": "a code of which most entries are exactly 0; which ones are not may differ from row "
    "to row.",
    "standard error": "how far a mean over samples is off, typically: their standard deviation"
    " divided by the root of their number.",
    "token": "a vector of numbers that stands for one patch (or word) inside a transformer.",
}
