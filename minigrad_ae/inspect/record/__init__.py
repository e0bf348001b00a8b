"""What a backward pass did, as plain data: steps and contributions, names, notation, and the check
of each rule.
"""
