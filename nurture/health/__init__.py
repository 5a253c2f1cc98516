"""Rows in which processes and lanes write how they do, so that status is right when it is asked from another host."""
