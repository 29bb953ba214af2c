"""A Django app for tests that need a process of their own: one model, one event, one handler."""
