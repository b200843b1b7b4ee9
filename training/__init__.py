"""How a model comes to be: data sets, heads, evaluation and publishing."""
