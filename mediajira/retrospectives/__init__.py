"""Retrospectives: what a team learns from a completed campaign."""

from __future__ import annotations
