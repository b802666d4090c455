"""Boards behind ssh."""
