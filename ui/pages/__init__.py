"""The pages of the web application, each with its script and style beside it."""
