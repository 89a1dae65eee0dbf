"""The paper and the thesis: studies, their pages, tables, commands and benchmarks; no other room knows this one."""
