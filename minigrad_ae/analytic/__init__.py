"""Closed forms, in NumPy alone: the independent witness that models are compared with.

Nothing here knows the engine, and no model, optimiser or training loop imports it.  Notation
throughout: X is N x D with the data in rows, centred; S = XᵀX has eigenvalues s_1 >= s_2 >= ... and
orthonormal eigenvectors u_1, u_2, ...; W1 is the M x D encoder, W2 the D x M decoder, and the loss
is E = ½ Σ_n ‖x_n − W2 W1 x_n‖² (a *sum* over data). The package's layers compute ``x @ weight``, so
there W1 = encoder.weight.T and W2 = decoder.weight.T. From ``denoising`` on everything is *per
datum*: S is the covariance XᵀX / N, with eigenvalues l_i = s_i / N.

=================  =================================================================================
pca                the minimum: components, optimal loss, where it is not unique; principal angles
landscape          every critical point: loss, negative curvatures, flat directions; the Hessian
regularised        the minimum with L2, product, non-uniform L2 and nested-dropout penalties
dynamics           how gradient flow gets there, and the step size at which descent diverges
nonlinear          two layers with non-linear hidden units: never below PCA, and how close they come
sparse             sparse codes for a fixed decoder, with proof of optimality; why a free decoder
                   degenerates
denoising          the best linear denoiser of rank M; noise as weight decay
score              the best denoiser of all: posterior means, scores, and the floor of a finite
                   training set
ppca               probabilistic PCA: maximum likelihood, exact posterior, EM
linear_vae         the linear VAE: exact bound, its gaps, its optimum under β, collapse, rate and
                   distortion
gaussian           masked prediction from second moments; random masks; independent pixels
densities          log densities with every constant; divergences of Gaussians
estimators         variances of gradient estimators, importance weighting, exact log p(x) on a grid
=================  =================================================================================
"""

from .denoising import (
    LinearDenoiser,
    Moments,
    best_denoiser,
    denoising_loss,
    dropout_moments,
    empirical_moments,
    gaussian_denoising_loss,
    gaussian_moments,
    gaussian_shrinkage,
    ridge_dropout,
    ridge_gaussian,
)
from .densities import (
    kl_diagonal,
    kl_normal,
    kl_sample_variance,
    log_bernoulli,
    log_likelihood_at_best_variance,
    log_normal,
)
from .dynamics import balancedness, half_rise_time, mode_strength, sharpness, stability_limit
from .estimators import (
    Quadratic,
    chi_square,
    grid_log_prob,
    importance_bound,
    importance_gap,
    square_gradient_variances,
)
from .gaussian import (
    GaussianConditional,
    ZeroFilledMap,
    bernoulli_baseline,
    gaussian_conditional,
    mask_probabilities,
    masked_mean_variance,
    pixel_entropy,
    zero_filled_map,
    zero_prediction_loss,
)
from .landscape import (
    CriticalPoint,
    critical_point,
    critical_points,
    gradient,
    hessian,
    inertia,
    reconstruction_loss,
    saddle,
)
from .linear_vae import (
    LinearELBO,
    LinearVAEOptimum,
    active_units,
    amortisation_gap,
    best_encoder,
    collapse_curvature,
    effective_noise,
    hadamard_gap,
    learnt_noise,
    linear_elbo,
    linear_vae_optimum,
    linear_vae_weights,
    rate_distortion,
)
from .nonlinear import (
    TwoLayerNet,
    almost_linear,
    parabola,
    parabola_residual,
    relu_equals_pca,
    two_layer_bound,
)
from .principal_components import PCA, orthonormal_basis, pca, principal_angles, projector_distance
from .probabilistic_pca import (
    PPCA,
    em_rate,
    em_sequence,
    em_step,
    em_step_without_noise,
    posterior_precision,
    ppca,
    ppca_log_likelihood,
    ppca_optimum,
)
from .regularised import (
    eigenvalues_from_singular_values,
    optimal_loss_nested,
    optimal_loss_product,
    optimal_loss_regularised,
    shrinkage_product,
    singular_values_regularised,
)
from .score import (
    GaussianMixture,
    kernel_denoiser,
    kernel_floor,
    kernel_floor_line,
    score_of_denoiser,
)
from .sparse import (
    SparseCodes,
    codes_on_support,
    degenerate_loss,
    duality_gap,
    fista,
    ista,
    ista_bound,
    kkt_residual,
    lambda_max,
    rescaled,
    soft_threshold,
    sparse_loss,
)

__all__ = [
    "PCA",
    "PPCA",
    "CriticalPoint",
    "GaussianConditional",
    "GaussianMixture",
    "LinearDenoiser",
    "LinearELBO",
    "LinearVAEOptimum",
    "Moments",
    "Quadratic",
    "SparseCodes",
    "TwoLayerNet",
    "ZeroFilledMap",
    "active_units",
    "almost_linear",
    "amortisation_gap",
    "balancedness",
    "bernoulli_baseline",
    "best_denoiser",
    "best_encoder",
    "chi_square",
    "codes_on_support",
    "collapse_curvature",
    "critical_point",
    "critical_points",
    "degenerate_loss",
    "denoising_loss",
    "dropout_moments",
    "duality_gap",
    "effective_noise",
    "eigenvalues_from_singular_values",
    "em_rate",
    "em_sequence",
    "em_step",
    "em_step_without_noise",
    "empirical_moments",
    "fista",
    "gaussian_conditional",
    "gaussian_denoising_loss",
    "gaussian_moments",
    "gaussian_shrinkage",
    "gradient",
    "grid_log_prob",
    "hadamard_gap",
    "half_rise_time",
    "hessian",
    "importance_bound",
    "importance_gap",
    "inertia",
    "ista",
    "ista_bound",
    "kernel_denoiser",
    "kernel_floor",
    "kernel_floor_line",
    "kkt_residual",
    "kl_diagonal",
    "kl_normal",
    "kl_sample_variance",
    "lambda_max",
    "learnt_noise",
    "linear_elbo",
    "linear_vae_optimum",
    "linear_vae_weights",
    "log_bernoulli",
    "log_likelihood_at_best_variance",
    "log_normal",
    "mask_probabilities",
    "masked_mean_variance",
    "mode_strength",
    "optimal_loss_nested",
    "optimal_loss_product",
    "optimal_loss_regularised",
    "orthonormal_basis",
    "parabola",
    "parabola_residual",
    "pca",
    "pixel_entropy",
    "posterior_precision",
    "ppca",
    "ppca_log_likelihood",
    "ppca_optimum",
    "principal_angles",
    "projector_distance",
    "rate_distortion",
    "reconstruction_loss",
    "relu_equals_pca",
    "rescaled",
    "ridge_dropout",
    "ridge_gaussian",
    "saddle",
    "score_of_denoiser",
    "sharpness",
    "shrinkage_product",
    "singular_values_regularised",
    "soft_threshold",
    "sparse_loss",
    "square_gradient_variances",
    "stability_limit",
    "two_layer_bound",
    "zero_filled_map",
    "zero_prediction_loss",
]
