"""Kernels: what runs faster on one backend than plain JAX does, each in a module of its own.

Every kernel has a reference beside it, `name_reference`, that says in plain JAX what it gives; a test
that the two are equal (`tests/test_kernels*.py`); and a place in `benchmarks/kernel_speed.py`, which
measures on the machine at hand what it gains. `dispatch.by_platform` takes the reference elsewhere.
"""
