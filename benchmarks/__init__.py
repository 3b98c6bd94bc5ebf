"""The service beside its yardsticks: scenarios that print figures.

Machines are shared and noisy: compare what ran side by side.
"""
