"""Kernels: tricks for one backend, each behind a dispatch and beside its plain reference in JAX."""
