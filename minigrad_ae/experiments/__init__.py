"""Trainings that lessons and claims share: each is done once in a run, and both read its numbers.

=================  =================================================================================
run                one run, each result computed once in it (`Run.shared`); ways to train
linear             lesson 02: starts on the digits, and descent from a saddle and along single modes
two_layer          lesson 03: non-linear hidden units approach PCA's loss and stay above it
deep               lesson 04: four layers on a curve, a helix, a surface, and the digits
sparse             lesson 05: a given decoder, ways to hold it, planted sources, image patches
denoising          lesson 06: linear and deep denoisers, and the floors of their losses
masked             lesson 07: fixed masks, references on the same masks, short trainings
masked_transfer    lesson 07: few labels; what trains for minutes and ships as numbers
masked_ratio       lesson 07: how much to hide, of 49 patches
masked_redundancy  lesson 07: what is unknown of a hidden letter, of a hidden pixel
masked_pictures    lesson 07: its figures
elbo               lesson 08: the bound at any weights, E and M steps, parts of the gap; log p(x)
variational        lesson 09: estimators, Algorithm 1, a trained model and its log p(x)
collapse           lesson 10: collapsed units, loss conventions, rate against distortion
further            lesson 11: conditions, whole covariances, many samples, Langevin steps
=================  =========================================================================="""
