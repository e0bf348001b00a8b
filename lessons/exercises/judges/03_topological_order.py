"""The judge of exercise 3: any order is right that has each node once, and after its users."""

FUNCTION = "order"
HINTS = (
    "A node that is used twice can be reached on two ways.  Remember which nodes have been seen.",
    "That is not enough: on the short way a node may be reached before all of its uses.  When is "
    "it safe to write a node down?",
    "Go the other way round: write down a node when everything that it was computed from has been "
    "written down.  How does this list differ from the one that is wanted?",
)


class Node:
    """A node of a graph, with the nodes that it was computed from."""

    def __init__(self, *parents):
        self.parents = parents


def cases(rng):
    yield (0,)  # no data: `observe` makes the graphs


def graphs():
    """The ends of some graphs: doublings, a square, a shortcut on either side, a random one."""
    a = Node()
    doubled = Node(a, a)
    yield Node(doubled, doubled)
    left, right = Node(a), Node(a)
    yield Node(left, right)
    for long_first in (True, False):
        start = Node()
        way = Node(Node(Node(start)))
        yield Node(*((way, start) if long_first else (start, way)))
    nodes = [Node()]
    for k in range(12):
        nodes.append(Node(nodes[k], nodes[(5 * k) // 7]))
    yield nodes[-1]


def _all(end):
    """All nodes that lead to an end."""
    found, waiting = {}, [end]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found[node] = True
            waiting.extend(node.parents)
    return set(found)


def observe(order, _):
    """Facts that hold of the walks through all graphs, or not."""
    complete = once = after_users = ends_first = True
    for end in graphs():
        walk = list(order(end))
        place = {node: k for k, node in enumerate(walk)}
        complete &= set(walk) == _all(end)
        once &= len(place) == len(walk)
        ends_first &= walk[:1] == [end]
        pairs = [(n, p) for n in walk for p in n.parents if p in place]
        after_users &= all(walk.index(parent) > place[node] for node, parent in pairs)
    facts = {"every node is in the list": complete, "no node is there twice": once}
    return {
        **facts,
        "the end is first": ends_first,
        "each node comes after those that were computed from it": after_users,
    }


def right(end):
    nodes, users = [], dict.fromkeys(_all(end), 0)
    for node in users:
        for parent in node.parents:
            users[parent] += 1
    ready = [end]
    while ready:
        node = ready.pop()
        nodes.append(node)
        for parent in node.parents:
            users[parent] -= 1
            if users[parent] == 0:
                ready.append(parent)
    return nodes


def paths(end):
    """Your walk visits a node once for each path that leads to it.  The number of paths doubles
    with each doubling, and a node's gradient would be passed on again and again."""
    return [end, *(node for parent in end.parents for node in paths(parent))]


def when_first_seen(end):
    """You write a node down when you first meet it.  A node can be met by a shortcut, before others
    that were computed from it: its gradient is not complete then."""
    nodes = []

    def visit(node):
        if node not in nodes:
            nodes.append(node)
            for parent in node.parents:
                visit(parent)

    visit(end)
    return nodes


def inputs_first(end):
    """This is the order in which the graph was computed: from the inputs to the end.  Which end
    does the gradient come from?"""
    return right(end)[::-1]


def without_inputs(end):
    """The inputs are missing: nodes without parents need a gradient, too; it is what you want in
    the end."""
    return [node for node in right(end) if node.parents]


MISTAKES = (paths, when_first_seen, inputs_first, without_inputs)
