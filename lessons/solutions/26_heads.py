"""The last axis is cut, which moves nothing; then two axes change places."""


def split_heads(x, heads):
    N, T, D = x.shape
    return x.reshape(N, T, heads, D // heads).transpose(0, 2, 1, 3)
