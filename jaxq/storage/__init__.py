"""Storage: files that are not trusted, arrays on disk, and what this machine keeps between runs.

`access` opens files without following links, `json_values` reads and writes JSON, `stored_arrays` holds
arrays with checksums, and `machine_cache` is where programs and measurements are kept for later runs.
"""
