"""Training: recipes, features of frozen encoders, the bridge's warm start, captions."""
