"""Structures, their graphs and lists of neighbours."""
