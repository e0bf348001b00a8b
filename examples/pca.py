"""PCA of handwritten digits, twice: by scikit-learn, where it is installed, and by training.

Line by line the same names, and the same numbers.
"""

import matplotlib.pyplot as plt
import numpy as np

import minigrad_ae as mg

try:
    from sklearn.decomposition import PCA
except ImportError:
    PCA = None

X, y = mg.data.digits()  # (1797, 64) pixels in [0, 1], and which digit each row is

ours = mg.models.LinearAutoencoder(64, 2, rng=np.random.default_rng(0))
ours.fit(X)
theirs = PCA(2, svd_solver="full").fit(X) if PCA else None

for who in filter(None, (ours, theirs)):
    codes = who.transform(X)
    print(type(who).__name__)
    print("  explained variance ratio     ", who.explained_variance_ratio_.round(6))
    print("  first component, pixels 18-21", who.components_[0, 18:22].round(6))
    print("  codes of the first digit     ", codes[0].round(6))
    print("  it comes back, pixels 18-21  ", who.inverse_transform(codes)[0, 18:22].round(6))

print(mg.certify_pca(ours, X))  # what training can promise, whether scikit-learn is there or not

codes, shares = ours.transform(X), ours.explained_variance_ratio_
for digit in range(10):
    plt.scatter(*codes[y == digit].T, marker=f"${digit}$", s=24, linewidths=0.2)
plt.title(f"Two components hold {shares.sum():.1%} of the variance of {len(X):,} digits")
plt.xlabel(f"component 1 ({shares[0]:.1%} of the variance)")
plt.ylabel(f"component 2 ({shares[1]:.1%} of the variance)")
plt.savefig("pca.png", dpi=150)
