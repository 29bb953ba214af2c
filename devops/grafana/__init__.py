"""Grafana's dashboards: written down as Python, kept as the JSON files beside this one.

``python3 -m devops.grafana`` writes the files again; a test fails if they differ from the code.
"""
