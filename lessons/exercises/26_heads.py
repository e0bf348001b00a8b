"""Heads: reshape where a transpose was meant (lesson 7).

x is (N, T, D): N pictures of T tokens.  Attention with several heads gives each head its own part
of the features: with D = heads d, head h has the features h d to (h + 1) d - 1 of every token.
Return them as an array (N, heads, T, d).

The lines below have the right shape, and every head sees whole tokens of some patches and none of
the others.  Repair them.
"""


def split_heads(x, heads):
    N, T, D = x.shape
    return x.reshape(N, heads, T, D // heads)
