"""Second spellings for exercise 3."""


def right(end):
    nodes = []

    def visit(node):
        if node not in nodes:
            for parent in node.parents[::-1]:
                visit(parent)
            nodes.append(node)

    visit(end)
    return reversed(nodes)


def paths(end):
    nodes, waiting = [], [end]
    while waiting:
        nodes.append(waiting.pop())
        waiting.extend(nodes[-1].parents)
    return nodes


def when_first_seen(end):
    nodes = [end]
    for node in nodes:  # breadth first; the list grows meanwhile
        nodes.extend(parent for parent in dict.fromkeys(node.parents) if parent not in nodes)
    return nodes


def inputs_first(end):
    return list(right(end))[::-1]
