"""What every lesson shares.

=========  =========================================================================================
lesson     the frame: options, cells, where figures go, and one plotting style
notebook   a lesson's script as a notebook
questions  what the reader predicts, and the sealed answers
exercises  where they are, copies of blanks, checks in a process of their own, progress
judge      what an answer computes, beside what is right and what is typically wrong
glossary   the words of the outputs, explained
recap      the end: what this run measured, and the ledger's rows
figures    what lessons draw: rows of data, a manifold, a map of codes, a graph with its gradients
=========  =========================================================================================
"""
