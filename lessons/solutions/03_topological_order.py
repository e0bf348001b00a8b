"""A node is written down after its parents; reversed, it comes before them.

`waiting` holds each node twice: to look at its parents, and to write it down after them.  (A
recursive walk reads more easily, and ends at a depth of a thousand.)
"""


def order(end):
    nodes, seen, waiting = [], set(), [(end, False)]
    while waiting:
        node, parents_are_done = waiting.pop()
        if parents_are_done:
            nodes.append(node)
        elif node not in seen:
            seen.add(node)
            waiting.append((node, True))
            waiting.extend((parent, False) for parent in node.parents)
    return nodes[::-1]
