"""The chat's agent: does it use the right tools, does it ask before it changes something, does it give nothing away?"""
