"""Inference about experiments: does a measure work, by how much, and may it go on?

Everything here is the standard library's arithmetic on counts and sums. Each answer holds at every look, however
often and whenever one looks: it comes from an e-process, a number that exceeds 1/alpha with probability alpha at
most when there is nothing to find (Ville's inequality).
"""
