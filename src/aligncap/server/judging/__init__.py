"""The page on which listeners choose between two captions of a clip; its votes, and how far the listeners agree."""
