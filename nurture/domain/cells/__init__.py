"""Cells of files that other tools wrote: amounts, dates, lists, words of consent, and the names of columns.

A cell that can be read in two ways is decided by the other cells of its column, by the file's language or by the tool
that wrote it; else it is unread, and the caller lists it. Nothing is guessed.
"""
