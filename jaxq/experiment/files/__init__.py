"""Files of a run directory: opened without following links, read with one validation for all."""
