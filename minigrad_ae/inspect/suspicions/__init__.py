"""The everyday bugs, each a small function that names what it suspects, where, and why.

question     what a suspicion is, and the list of all questions
scene        what the questions look at: a graph, a model, an optimiser, data, a watched run
source       lines of the user's files, found by what they call
watching     `watch`: what can only be seen over several passes
shapes       stretched operands, softmax over rows, reshape for transpose, batches of one row
losses       an average of an average, an impossible KL, a target that is trained
inputs       pixels divided as whole numbers, a graph that was cut, the same noise again
training     zero_grad, step, eval forgotten; parameters left out; steps that are too long
units        units that are copies of each other, and dead ones
suspecting   `suspect`: asks them all
"""
