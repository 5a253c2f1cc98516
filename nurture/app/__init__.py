"""What the three fronts (command line, HTTP, workers) may ask for, one file per noun. The only place that wires."""
