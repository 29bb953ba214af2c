"""The main job, end to end, on an embedded broker: ``python -m mediajira.demo``."""
