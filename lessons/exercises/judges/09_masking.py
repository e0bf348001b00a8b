"""The judge of exercise 9: facts that hold of any masking, whatever numbers it has drawn."""

import numpy as np

FUNCTION = "masking"
HINTS = (
    "rng.permutation makes one order.  Sort random numbers, one for each patch of each picture: "
    "np.argsort along an axis makes an order for every picture.",
    "order[n, i] says which patch is at place i.  restore asks the other way round: at which place "
    "is patch j?",
    "Try it with T = 3 by hand: order = [2, 0, 1].  Where is patch 0?",
)


def cases(rng):
    yield 40, 9, 3
    yield 40, 8, 6


def observe(masking, N, T, keep):
    """Facts about a batch of tokens that say of themselves where they come from."""
    tokens = np.arange(N * T).reshape(N, T, 1) + np.array([0.0, 0.5])
    visible, mask, restore = masking(tokens.copy(), keep, np.random.default_rng(1))
    visible, mask, restore = np.asarray(visible), np.asarray(mask, float), np.asarray(restore)
    shapes = [*visible.shape, *mask.shape, *restore.shape]
    facts = {"the list of shapes": np.array(shapes)}
    if shapes != [N, keep, 2, N, T, N, T]:
        return facts
    patch = visible[:, :, 0] - np.arange(N)[:, None] * T
    own = (patch >= 0) & (patch < T) & (visible[:, :, 1] == visible[:, :, 0] + 0.5)
    facts["visible tokens are whole, and of their own picture"] = own.all()
    if not own.all():
        return facts
    place, hidden = patch.astype(int), np.ones((N, T))
    np.put_along_axis(hidden, place, 0, axis=1)
    facts["no patch is visible twice"] = (hidden.sum(axis=1) == T - keep).all()
    facts["the mask is 1 where a patch is hidden"] = (mask == hidden).all()
    facts["the mask is 0 where a patch is hidden"] = (mask == 1 - hidden).all()
    facts["restore finds the visible patches"] = _restores(restore, place)
    facts["restore is a permutation"] = (np.sort(restore, axis=1) == np.arange(T)).all()
    facts["pictures differ"] = len(np.unique(hidden, axis=0)) > 1
    # each is visible in N keep / T pictures, five standard deviations up or down
    often = (1 - hidden).sum(axis=0) - N * keep / T
    facts["every patch has its chance"] = (abs(often) < 5 * np.sqrt(N / 4)).all() | (
        not facts["pictures differ"]
    )
    return facts


def _restores(restore, place):
    rows = np.arange(len(place))[:, None]
    inside = (restore >= 0) & (restore < restore.shape[1])
    return bool(inside.all() and (restore[rows, place] == np.arange(place.shape[1])).all())


def _masking(tokens, keep, order, hidden=1.0):
    visible = tokens[np.arange(len(tokens))[:, None], order[:, :keep]]
    mask = np.full(order.shape, hidden)
    np.put_along_axis(mask, order[:, :keep], 1 - hidden, axis=1)
    restore = np.empty_like(order)
    np.put_along_axis(restore, order, np.arange(order.shape[1])[None], axis=1)
    return visible, mask, restore


def _order(tokens, rng):
    return rng.permuted(np.tile(np.arange(tokens.shape[1]), (len(tokens), 1)), axis=1)


def right(tokens, keep, rng):
    return _masking(tokens, keep, _order(tokens, rng))


def as_given(tokens, keep, rng):
    """Two things are still wrong: every picture loses the same patches, since one order was drawn
    for all; and `restore` asks where a patch has gone, which the order itself does not answer."""
    order = np.tile(rng.permutation(tokens.shape[1]), (len(tokens), 1))
    visible, mask, _ = _masking(tokens, keep, order)
    return visible, mask, order


def same_for_all(tokens, keep, rng):
    """Every picture loses the same patches: one order was drawn for all of them."""
    return _masking(tokens, keep, np.tile(rng.permutation(tokens.shape[1]), (len(tokens), 1)))


def not_inverted(tokens, keep, rng):
    """Each picture has its own order now. `restore` is still that order: it says which patch is at
    a place, and what is asked is at which place a patch is."""
    order = _order(tokens, rng)
    visible, mask, _ = _masking(tokens, keep, order)
    return visible, mask, order


def inverted_mask(tokens, keep, rng):
    """The mask is inverted: it is to be 1 where a patch is hidden, since the loss is taken
    there."""
    return _masking(tokens, keep, _order(tokens, rng), hidden=0.0)


def hides_too_few(tokens, keep, rng):
    """`keep` is the number of patches that stay visible; you hide so many."""
    return _masking(tokens, tokens.shape[1] - keep, _order(tokens, rng))


MISTAKES = (as_given, same_for_all, not_inverted, inverted_mask, hides_too_few)
