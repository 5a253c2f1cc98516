"""Figures about people, orders and answers, one module for each report."""
