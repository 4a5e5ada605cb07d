"""How well the parts that judge and write do, on data that is committed: ``python -m evaluation.<part>``."""
