"""Figures of reports that compare no arms: how long people stay, how they answer."""
