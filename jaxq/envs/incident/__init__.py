"""Incidents: services with hidden faults, noisy symptoms, and corrective actions with prices and costs.

In reading order: `params` has the words and the numbers, `dynamics` what happens in a step,
`environment` the simulator, `table` small instances as exact tables, `policies` baselines.
"""
