"""Learn from what people did: who stops buying, what people will buy, and which leads become customers.

Only this room works with numpy, and only the modules that `load` imports when a model is asked for.
"""
