"""Documents: does the check find what is not supported, do summaries say what matters, is the right passage found?"""
