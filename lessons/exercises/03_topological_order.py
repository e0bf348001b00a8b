"""The order of the walk back: each node when it is complete (lesson 1).

A graph is made of nodes, and `node.parents` is the tuple of the nodes that it was computed from
(the same one twice in a + a; none for an input).  `end` is the loss.  Return a list of all nodes
that lead to it, in an order in which backward may visit them: each node once, and only after every
node that was computed from it, since until then its gradient is not complete.

    b = a + a; c = b + b      order(c) is [c, b, a]

The walk below follows one path after another.  It visits a four times: repair it.
"""


def order(end):
    nodes = [end]
    for parent in end.parents:
        nodes += order(parent)
    return nodes
