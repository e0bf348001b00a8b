"""The mask is the weight of each patch, and says how many there are."""


def masked_loss(y, x, mask):
    of_patches = ((y - x) ** 2).mean(axis=2)
    return (of_patches * mask).sum() / mask.sum()
