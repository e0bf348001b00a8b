"""The judge of exercise 24: hidden patches, picked one by one."""

import numpy as np

FUNCTION = "masked_loss"
HINTS = (
    "Where is the mask 1?  On which patches can the network simply copy?",
    "A mean is a sum over the number of its terms.  How many pixels are hidden?",
)


def cases(rng):
    for N, T, P in ((3, 4, 5), (2, 6, 3), (1, 3, 1)):
        hidden = np.arange(T)[None] < np.arange(1, N + 1)[:, None]
        x, y = rng.standard_normal((2, N, T, P))
        yield y, x, rng.permuted(hidden, axis=1).astype(float)


def _squares(y, x, mask, which=1):
    return np.array(
        [(y - x)[place] ** 2 for place in np.ndindex(mask.shape) if mask[place] == which]
    )


def right(y, x, mask):
    return _squares(y, x, mask).mean()


def as_given(y, x, mask):
    """The mask is inverted: these are the patches that the encoder saw.  And the mean is over all
    pixels, also over those that were set to 0."""
    return _squares(y, x, mask, 0).sum() / y.size


def visible(y, x, mask):
    """The mask is inverted: the mean is over patches that the encoder saw, which only need to be
    copied."""
    return _squares(y, x, mask, 0).mean()


def over_everything(y, x, mask):
    """These are the hidden patches.  The mean is over all pixels, also over those that were set to
    0: with fewer hidden patches the error looks smaller."""
    return _squares(y, x, mask).sum() / y.size


def over_patches(y, x, mask):
    """You divide by the number of hidden patches.  Each has P pixels."""
    return _squares(y, x, mask).sum() / mask.sum()


def total(y, x, mask):
    """This is the sum over hidden pixels, and their mean is asked for."""
    return _squares(y, x, mask).sum()


def unmasked(y, x, mask):
    """All patches count, also the visible ones, which only need to be copied."""
    return ((y - x) ** 2).mean()


def picture_by_picture(y, x, mask):
    """You take the mean of the pictures' means: pixels of a picture with few hidden patches have
    more weight than others."""
    return np.mean([right(*one) for one in zip(y[:, None], x[:, None], mask[:, None], strict=True)])


MISTAKES = (
    as_given,
    visible,
    over_everything,
    over_patches,
    total,
    unmasked,
    picture_by_picture,
)
